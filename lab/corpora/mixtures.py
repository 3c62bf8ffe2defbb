"""Recordings in which sounds and speech meet: a sound and then a question about it, speech over a
sound, two sounds in order, a sound some times over.

Each recording brings several rows: what is asked aloud in it, and what may be typed about it.
"""

from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import soxr

from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples, load
from lab.corpora.questions import facts, sentence
from lab.corpora.rough import background, gain_for_snr, in_quiet
from lab.corpora.scenes import fade, heard, loudest
from lab.corpora.sounds import Sound, phrase, sounds_of
from lab.corpora.synth import Line
from lab.corpora.voices import Voice, speak
from lab.manifest import Row

KINDS = {"ask": 0.45, "two": 0.15, "count": 0.08, "over": 0.22, "said": 0.05, "nothing": 0.05}
"""Shares of the kinds of recordings."""

EVENTS = ("dog barking", "door slam", "person coughing", "person sneezing", "glass breaking",
          "rooster crowing")  # fmt: skip
"""Sounds short enough to be counted."""

EVENT_S = 1.3
"""Longest recording of an event that is counted."""

LISTEN = "listen"
"""Task of a row whose question is in the recording."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that is heard: a sound, or a line read by a voice."""

    sound: Sound | None = None
    line: str = ""
    voice: Voice | None = None
    disguised: bool = False
    """Whether another speaker is made of the voice."""

    times: int = 1


@dataclass(frozen=True, slots=True)
class Mixture:
    """What happens in a recording."""

    kind: str
    parts: tuple[Part, ...]
    over: bool
    """The parts sound at the same time."""

    rows: tuple[tuple[str, str, str, str], ...]
    """(task, instruction, answer, key) of each row."""

    said: tuple[str, ...] = ()
    """The sentences in it that are not questions about it."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The recordings and sentences it is made from."""
        return *(part.sound.recording for part in self.parts if part.sound), *self.said


class MixtureMaker:
    """The `Maker` of mixtures."""

    def __init__(
        self,
        folder: Path,
        split: str,
        lines: list[Line],
        voices: tuple[Voice, ...],
        seed: int,
        disguised: float = 0.0,
    ) -> None:
        """Args:
        folder: `data/sound`.
        split: which sounds are heard.
        lines: what is said over sounds.
        voices: who says it, and asks.
        seed: of everything drawn.
        disguised: part of the lines that are said by another speaker.
        """
        self._disguised = disguised
        self._folder, self._split, self._seed = folder, split, seed
        self._lines, self._voices = lines, voices
        weights = np.array([v.weight for v in voices])
        self._weights = weights / weights.sum()

    @cached_property
    def _by_label(self) -> dict[str, list[Sound]]:
        labels: dict[str, list[Sound]] = {}
        for sound in sounds_of(self._folder, self._split):
            labels.setdefault(sound.label, []).append(sound)
        return labels

    @cached_property
    def _events(self) -> list[Sound]:
        sounds = [s for label in EVENTS for s in self._by_label.get(label, [])]
        return [s for s in sounds if len(_trimmed(s.path)) < EVENT_S * SAMPLE_RATE]

    def start(self) -> None:
        """Nothing is needed."""

    def rows(self, index: int) -> list[Row]:
        """What is asked in it and about it."""
        mixture = self._draw(index)
        text = " ".join(
            " ".join([heard(p.sound.label)] * p.times) if p.sound else p.line for p in mixture.parts
        )
        licences = {p.sound.licence if p.sound else "synthetic" for p in mixture.parts}
        return [
            Row("", answer=answer, text=text, key=key, task=task, instruction=instruction,
                licence="; ".join(sorted(licences)), speaker=mixture.kind, split=self._split,
                sources=mixture.sources)
            for task, instruction, answer, key in mixture.rows
        ]  # fmt: skip

    def make(self, index: int) -> Samples:
        """Put the parts together, in a quiet place."""
        mixture = self._draw(index)
        rng = np.random.default_rng([self._seed, index, 1])
        pieces = [_sounding(part, rng) for part in mixture.parts]
        if mixture.over:
            bed, speech = pieces
            lead = np.zeros(int(rng.uniform(0.2, 1.2) * SAMPLE_RATE), np.float32)
            speech = np.concatenate([lead, speech, lead[: len(lead) // 2]])
            bed = np.resize(bed, len(speech))
            return _level(speech + bed * gain_for_snr(speech, bed, rng.uniform(2, 18)), rng)
        joined: list[Samples] = []
        for piece in pieces:
            joined += [piece, np.zeros(int(rng.uniform(0.1, 0.9) * SAMPLE_RATE), np.float32)]
        if mixture.kind == "nothing":
            n = int(rng.uniform(0.5, 3.0) * SAMPLE_RATE)
            joined = [background(n, [], rng) * 10 ** (rng.uniform(-70, -40) / 20), *joined]
        return in_quiet(np.concatenate(joined), rng)

    def _draw(self, index: int) -> Mixture:
        rng = np.random.default_rng([self._seed, index, 0])
        kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
        if kind == "count" and not self._events:
            kind = "ask"
        return getattr(self, f"_{kind}")(rng)  # type: ignore[no-any-return]

    def _sound(self, rng: np.random.Generator, but: str = "") -> Sound:
        labels = sorted(label for label in self._by_label if label != but)
        of_label = self._by_label[labels[rng.integers(len(labels))]]
        return of_label[rng.integers(len(of_label))]

    def _says(self, rng: np.random.Generator, line: str) -> Part:
        voice = self._voices[rng.choice(len(self._voices), p=self._weights)]
        return Part(
            line=line, voice=voice, disguised=self._disguised > 0 and rng.random() < self._disguised
        )

    def _ask(self, rng: np.random.Generator) -> Mixture:
        sound = self._sound(rng)
        what = phrase(sound.label)
        if rng.random() < 0.12:
            kind = "Music" if sound.label == "music" else "A sound"
            question, answer, key = _form("kind", rng), f"{kind}.", kind.split()[-1].lower()
        else:
            question, answer, key = _form("what", rng), f"That was {what}.", sound.label
        return Mixture(
            "ask", (Part(sound), self._says(rng, question)), False,
            ((LISTEN, "", answer, key), ("asr", "", question, ""),
             _typed("what", sentence(what) + ".", sound.label, rng)),
        )  # fmt: skip

    def _two(self, rng: np.random.Generator) -> Mixture:
        first = self._sound(rng)
        last = self._sound(rng, but=first.label)
        both = f"First {phrase(first.label)}, then {phrase(last.label)}."
        answers = {
            "first": (sentence(phrase(first.label)) + ".", first.label),
            "last": (sentence(phrase(last.label)) + ".", last.label),
            "both": (both, f"{first.label}>{last.label}"),
        }
        rows = [_typed(ask, *answers[ask], rng) for ask in answers]
        parts: tuple[Part, ...] = Part(first), Part(last)
        if rng.random() < 0.6:
            ask = str(rng.choice(list(answers)))
            question = _form(ask, rng)
            parts = *parts, self._says(rng, question)
            rows = [(LISTEN, "", *answers[ask]), *rows[:1]]
        return Mixture("two", parts, False, tuple(rows))

    def _count(self, rng: np.random.Generator) -> Mixture:
        sound = self._events[rng.integers(len(self._events))]
        times = int(rng.integers(1, 5))
        answer = "Once." if times == 1 else f"{times} times."
        key = "once" if times == 1 else str(times)
        question = _form("count", rng)
        return Mixture(
            "count", (Part(sound, times=times), self._says(rng, question)), False,
            ((LISTEN, "", answer, key), _typed("count", answer, key, rng)),
        )  # fmt: skip

    def _over(self, rng: np.random.Generator) -> Mixture:
        sound = self._sound(rng)
        line = self._lines[rng.integers(len(self._lines))]
        both = f'Someone says "{line.text}". In the background: {phrase(sound.label)}.'
        rows = [
            ("asr", "", line.text, ""),
            ("audio_speech_description", "", both, f"{line.text};{sound.label}"),
            ("QA", "What is the sound in the background?", sentence(phrase(sound.label)) + ".",
             sound.label),
        ]  # fmt: skip
        if line.task != "asr":
            rows.append((LISTEN, "", line.answer, line.key))
        return Mixture(
            "over", (Part(sound), self._says(rng, line.text)), True, tuple(rows), (line.text,)
        )

    def _said(self, rng: np.random.Generator) -> Mixture:
        line = self._lines[rng.integers(len(self._lines))]
        first = self._says(rng, line.text)
        question = _form("said", rng)
        answer = f'You said "{line.text}".'
        return Mixture(
            "said", (first, replace(first, line=question)), False,
            ((LISTEN, "", answer, line.text), ("asr", "", f"{line.text} {question}", "")),
            (line.text,),
        )  # fmt: skip

    def _nothing(self, rng: np.random.Generator) -> Mixture:
        answer = facts()["no_sound"]
        row = (LISTEN, "", answer, "no sound")
        return Mixture("nothing", (self._says(rng, _form("what", rng)),), False, (row,))


def _form(ask: str, rng: np.random.Generator) -> str:
    forms = facts()["sound_questions"][ask]
    return str(forms[rng.integers(len(forms))])


def _typed(ask: str, answer: str, key: str, rng: np.random.Generator) -> tuple[str, str, str, str]:
    question = sentence(_form(ask, rng))
    return "QA", question + ("." if question.startswith(("Tell", "Count")) else "?"), answer, key


@cache
def _trimmed(path: Path) -> Samples:
    """A recording without the quiet before and after it."""
    samples = load(path)
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max(initial=0.0))
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples


def _sounding(part: Part, rng: np.random.Generator) -> Samples:
    if part.voice is not None:
        spoken = speak(part.voice, part.line, rng, part.disguised)
        return spoken * np.float32(rng.uniform(0.5, 1.0))
    assert part.sound is not None
    if part.times > 1 or part.sound.label in EVENTS:
        once = fade(_trimmed(part.sound.path))
    else:
        once = load(part.sound.path)
    samples = fade(loudest(once, int(rng.uniform(1.0, 5.0) * SAMPLE_RATE), rng))
    samples = soxr.resample(samples, SAMPLE_RATE * rng.uniform(0.92, 1.1), SAMPLE_RATE)
    samples = samples / max(float(np.abs(samples).max(initial=0.0)), 1e-9)
    gap = np.zeros(int(rng.uniform(0.3, 0.8) * SAMPLE_RATE), np.float32)
    repeated = [samples, *[x for _ in range(part.times - 1) for x in (gap, samples)]]
    return np.asarray(np.concatenate(repeated) * rng.uniform(0.3, 1.0), np.float32)


def _level(samples: Samples, rng: np.random.Generator) -> Samples:
    peak = max(float(np.abs(samples).max(initial=0.0)), 1e-9)
    return np.asarray(samples / peak * 10 ** (rng.uniform(-24, -1) / 20), np.float32)
