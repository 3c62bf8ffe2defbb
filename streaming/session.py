"""One conversation, without I/O: bytes in, events out.

    session.receive(pcm)                             # whenever bytes arrive; only buffers
    while (events := session.step()) is not NEED_DATA:
        ...                                          # one bounded piece of work was done

There is no clock, socket or thread in here. Times are sample indices. Every piece of work follows
from the samples alone: the utterance is encoded block by block while it is heard, each finished
window is prefilled at once, and the reply to an utterance is complete before the next frame is
looked at, so any cutting of the input gives the same events.
"""

from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from streaming.events import (
    AudioPrefilled,
    Event,
    ReplyDelta,
    ReplyEnded,
    SpeechEnded,
    SpeechStarted,
)
from streaming.frames import Frame, Framer
from streaming.stage import Stage


class _NeedData(Enum):
    NEED_DATA = "NEED_DATA"


NEED_DATA: Final = _NeedData.NEED_DATA
"""Returned by `Session.step` when nothing can be done before more bytes arrive."""


class Work(Enum):
    """What a step did; a shell that has a clock can tell where time goes."""

    FRAME = "frame"
    ENCODE = "encode"
    PREFILL = "prefill"
    DECODE = "decode"


class Listener(Protocol):
    """The model's side of one conversation; implemented in `assistant`.

    Only arrays, numbers and strings cross this line.
    """

    def hear(self, samples: NDArray[np.float32]) -> int:
        """Take samples of the utterance, encode the blocks they complete; tokens now waiting."""

    def finish(self) -> int:
        """The utterance is over: encode what is left; tokens now waiting."""

    def prefill(self) -> int:
        """Put the waiting tokens into the KV cache; audio tokens in it now."""

    def ask(self) -> int:
        """Prefill what waits and the rest of the prompt; audio tokens in the cache now."""

    def reply(self) -> Iterator[str]:
        """Answer what was heard, a token per item (its text may be empty); then be as new."""


class Session:
    """A conversation over one stream of 16 kHz PCM16."""

    def __init__(
        self,
        endpointer: Stage[Frame, SpeechStarted | SpeechEnded],
        listener: Listener,
        lookback_frames: int,
    ) -> None:
        """Args:
        endpointer: finds utterances.
        listener: hears and answers them; owned by this session.
        lookback_frames: how many of the last frames are heard when an utterance starts: the
            pre-roll and those that settled the onset.
        """
        self._framer = Framer()
        self._endpointer = endpointer
        self._listener = listener
        self._frames: deque[Frame] = deque()
        self._recent: deque[Frame] = deque(maxlen=lookback_frames)
        self._jobs: deque[tuple[Work, Callable[[], list[Event]]]] = deque()
        self._speaking = False
        self._eof = False
        self._reply: Iterator[str] | None = None
        self._reply_tokens = 0
        self._audio_tokens = 0
        self._prefilled: list[AudioPrefilled] = []
        self._speech_end = 0
        self.work = Work.FRAME
        """What the last step did."""

    def receive(self, pcm: bytes) -> None:
        """Take bytes of input: 16 kHz, 16-bit little-endian, mono; any number of them.

        Raises:
            EOFError: the input was ended before.
        """
        if self._eof:
            raise EOFError("receive() after receive_eof()")
        self._frames.extend(self._framer.push(pcm))

    def receive_eof(self) -> None:
        """The input ends here; an open utterance is answered."""
        self._frames.extend(self._framer.flush())
        self._eof = True

    def step(self) -> list[Event] | Literal[_NeedData.NEED_DATA]:
        """Do one bounded piece of work: a frame, a block, a prefill or a token."""
        if self._jobs:
            self.work, job = self._jobs.popleft()
            return job()
        if self._reply is not None:
            self.work = Work.DECODE
            return self._say(self._reply)
        self.work = Work.FRAME
        if self._frames:
            return self._look(self._frames.popleft())
        if self._eof and self._speaking:
            return self._change(self._endpointer.flush())
        return NEED_DATA

    def _look(self, frame: Frame) -> list[Event]:
        changes = self._endpointer.push(frame)
        if self._speaking:
            self._encode([frame])
        else:
            self._recent.append(frame)
        return self._change(changes)

    def _change(self, changes: list[SpeechStarted | SpeechEnded]) -> list[Event]:
        events: list[Event] = []
        for change in changes:
            events.append(change)
            match change:
                case SpeechStarted():
                    self._speaking = True
                    self._prefilled.clear()
                    self._encode(list(self._recent))
                    self._recent.clear()
                case SpeechEnded(at):
                    self._speaking = False
                    self._speech_end = at
                    self._jobs.append((Work.ENCODE, self._finish))
                    self._jobs.append((Work.PREFILL, self._begin_reply))
        return events

    def _encode(self, frames: list[Frame]) -> None:
        samples = np.concatenate([frame.samples() for frame in frames])
        heard = frames[-1].at + len(frames[-1].pcm) // 2

        def encode() -> list[Event]:
            if self._listener.hear(samples):
                self._jobs.appendleft((Work.PREFILL, lambda: self._prefill(heard)))
            return []

        self._jobs.append((Work.ENCODE, encode))

    def _prefill(self, heard: int) -> list[Event]:
        done = AudioPrefilled(heard, self._listener.prefill())
        self._prefilled.append(done)
        return [done]

    def _finish(self) -> list[Event]:
        self._listener.finish()
        return []

    def _begin_reply(self) -> list[Event]:
        self._audio_tokens = self._listener.ask()
        self._reply = self._listener.reply()
        self._reply_tokens = 0
        return []

    def _say(self, reply: Iterator[str]) -> list[Event]:
        text = next(reply, None)
        if text is not None:
            self._reply_tokens += 1
            return [ReplyDelta(text)] if text else []
        self._reply = None
        before = [p.audio_tokens for p in self._prefilled if p.at <= self._speech_end]
        return [ReplyEnded(self._audio_tokens, max(before, default=0), self._reply_tokens)]
