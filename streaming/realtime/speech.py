"""The audio of answers, as clients get it, and what of an answer's text was heard when."""

from bisect import bisect_left
from collections.abc import Iterator

from assistant.voice.voice import SAMPLE_BYTES, VOICE_RATE, SpokenWord
from streaming.audio.voice_audio import OutputEncoder
from streaming.audio.wire_audio import InputFormat
from streaming.events import ReplyAudio


class Spoken:
    """One answer, as far as it was spoken to the client."""

    def __init__(self, format_: InputFormat | None) -> None:
        """`format_`: of the audio that the client gets in messages; None: in none."""
        self._encoder = None if format_ is None else OutputEncoder(format_)
        self._begins: list[int] = []  # first samples of words
        self._ends: list[int] = []  # characters of the text up to their ends
        self._length = 0  # samples
        self._text = ""
        self._heard: int | None = None  # characters; None: all of them

    @property
    def transcript(self) -> str:
        """What was said, without what was cut off."""
        return self._text[: self._heard]

    @property
    def characters(self) -> int:
        """How much of its text was spoken, with what was cut off."""
        return len(self._text)

    @property
    def milliseconds(self) -> int:
        """How long its audio is."""
        return self._length * 1000 // VOICE_RATE

    def take(self, audio: ReplyAudio) -> bytes:
        """The next piece, in the client's format; what is left of it comes with the piece after it,
        or with `flush`."""
        before = len(self._text)
        self._begins += [self._length + word.begin for word in audio.words]
        self._ends += [before + word.end for word in audio.words]
        self._text += audio.text
        self._length += len(audio.pcm) // SAMPLE_BYTES
        return b"" if self._encoder is None else self._encoder.push(audio.pcm)

    def flush(self) -> bytes:
        """What is left of the audio."""
        return b"" if self._encoder is None else self._encoder.flush()

    def truncate(self, milliseconds: int) -> int:
        """Cut off what comes after a moment of the audio: a word that had begun stays.

        Returns:
            Characters of the text that are left.
        """
        begun = bisect_left(self._begins, milliseconds * VOICE_RATE // 1000)
        left = self._ends[begun - 1] if begun else 0
        self._heard = min(left, len(self.transcript))
        return self._heard


def pieces(audio: ReplyAudio, samples: int) -> Iterator[ReplyAudio]:
    """A piece of speech in shorter ones, each with the text of the words that begin in it.

    Args:
        audio: what was spoken.
        samples: of a piece, at most.
    """
    size, given = samples * SAMPLE_BYTES, 0
    for at in range(0, max(1, len(audio.pcm)), size):
        first = at // SAMPLE_BYTES
        is_last = at + size >= len(audio.pcm)
        inside = [w for w in audio.words if first <= w.begin < first + samples]
        end = len(audio.text) if is_last else (inside[-1].end if inside else given)
        words = tuple(SpokenWord(word.begin - first, word.end - given) for word in inside)
        yield ReplyAudio(audio.text[given:end], audio.pcm[at : at + size], words)
        given = end
