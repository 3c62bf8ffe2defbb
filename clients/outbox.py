"""What a client sends, in order, and keeps until a server that lost its connection has it."""

from collections import deque

SAMPLE_RATE = 16_000
"""Hz."""

AUDIO_BYTES = 30 * 2 * SAMPLE_RATE
"""Audio that is kept: half a minute."""

MESSAGES = 1000
"""Text messages that are kept."""

MESSAGE_BYTES = 4 * 2**20
"""Characters of the messages that are kept."""


class Outbox:
    """Pieces of audio and text messages in the order in which they are to arrive.

    What was sent is kept: a server that comes back may not have got it. When there is too much,
    the oldest goes, and what goes before it was sent is lost; the newest `AUDIO_BYTES` and
    `MESSAGE_BYTES` always stay. The first message of a session, its settings, is never forgotten.
    """

    def __init__(self, first: str) -> None:
        """Args:
        first: message of every session.
        """
        self._first, self._first_is_due = first, True
        self._sent: deque[bytes | str] = deque()
        self._due: deque[bytes | str] = deque()
        self._audio_bytes = 0  # of what is kept, as the next two
        self._messages = 0
        self._message_bytes = 0
        self._audio_before = 0  # what the server has of pieces that are kept no longer
        self._messages_before = 0

    def __len__(self) -> int:
        """Pieces that are kept."""
        return len(self._sent) + len(self._due)

    def put(self, piece: bytes | str) -> None:
        """Add audio or a message, which is to be sent after all others."""
        self._due.append(piece)
        self._count(piece, 1)
        while self._is_full():
            self._forget(self._sent or self._due)

    def take(self) -> bytes | str | None:
        """The next piece to send, which counts as sent; None: everything was."""
        if self._first_is_due:
            self._first_is_due = False
            return self._first
        if not self._due:
            return None
        self._sent.append(self._due.popleft())
        return self._sent[-1]

    def untake(self) -> None:
        """The last piece that was taken could not be sent after all."""
        if self._sent:
            self._due.appendleft(self._sent.pop())
        else:
            self._first_is_due = True

    def resume(self, audio_bytes: int, messages: int) -> None:
        """The server has so much of this session's audio and so many of its messages, and needs the
        rest again.
        """
        self._first_is_due = messages == 0
        messages = max(0, messages - 1)
        self._due.extendleft(reversed(self._sent))
        self._sent.clear()
        # What is kept no longer, and never arrived, is lost: what follows it comes next.
        self._audio_before = min(self._audio_before, audio_bytes)
        self._messages_before = min(self._messages_before, messages)
        while self._due:
            piece = self._due[0]
            if isinstance(piece, str):
                if self._messages_before == messages:
                    return
            elif audio_bytes < self._audio_before + len(piece):
                self._cut(audio_bytes - self._audio_before)
                return
            self._forget(self._due)

    def restart(self, first: str) -> None:
        """Another session has begun: it needs its first message, and what was not sent before."""
        self._first, self._first_is_due = first, True
        while self._sent:
            self._forget(self._sent)
        self._audio_before = self._messages_before = 0

    def _is_full(self) -> bool:
        oldest = (self._sent or self._due)[0]
        audio = len(oldest) if isinstance(oldest, bytes) else 0
        return (
            self._audio_bytes - audio >= AUDIO_BYTES
            or self._message_bytes - (len(oldest) - audio) >= MESSAGE_BYTES
            or self._messages > MESSAGES
        )

    def _forget(self, pieces: deque[bytes | str]) -> None:
        """Keep the oldest of these no longer."""
        piece = pieces.popleft()
        self._count(piece, -1)
        if isinstance(piece, bytes):
            self._audio_before += len(piece)
        else:
            self._messages_before += 1

    def _cut(self, size: int) -> None:
        """Keep so many bytes of the next piece, which is audio, no longer."""
        piece = self._due.popleft()
        assert isinstance(piece, bytes)
        self._due.appendleft(piece[size:])
        self._audio_bytes -= size
        self._audio_before += size

    def _count(self, piece: bytes | str, sign: int) -> None:
        if isinstance(piece, bytes):
            self._audio_bytes += sign * len(piece)
        else:
            self._messages += sign
            self._message_bytes += sign * len(piece)
