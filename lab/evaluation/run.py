"""Asking every system about every recording, and counting."""

from collections.abc import Callable
from dataclasses import dataclass

from assistant.prompt.prompt import instruction
from assistant.sound.recording import Samples, load
from lab.corpora.synth import NOTHING_SAID
from lab.evaluation.sets import EvalSet
from lab.evaluation.systems import System
from lab.manifest import Row
from lab.score import SYNONYMS, right, spoken, word_error_rate

CLAIMS = ("someone says", "you said", "person speaking", "person talking")
"""Phrases by which an answer says that there is speech."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer."""

    row: Row
    text: str
    right: bool | None = None
    """By a rule that is not in the row; None: the set's measure says."""


@dataclass(frozen=True, slots=True)
class Result:
    """A set's figure for one system."""

    set: EvalSet
    system: str
    figure: float
    """In percent."""

    answers: list[Answered]

    @property
    def recordings(self) -> int:
        """How many the answers are about."""
        return len({a.row.stretch for a in self.answers})


def evaluate(chosen: EvalSet, systems: dict[str, System], step: Callable[[], None]) -> list[Result]:
    """Ask all systems that can be asked about `chosen`.

    Args:
        chosen: what to measure on.
        systems: by name.
        step: called after each row.

    Raises:
        ConfigError: a row's task is unknown, or needs an instruction.
    """
    asked = [systems[name] for name in chosen.systems if name in systems]
    answers: dict[str, list[Answered]] = {system.name: [] for system in asked}
    for row in chosen.rows if asked else ():
        wanted = row.instruction or instruction(None, row.task, None)
        samples = _samples(chosen, row)
        for system in asked:
            text = system.answer(row, samples, wanted)
            answers[system.name].append(Answered(row, text))
        step()
    return [
        Result(chosen, system.name, figure(chosen, answers[system.name]), answers[system.name])
        for system in asked
    ]


def _samples(chosen: EvalSet, row: Row) -> Samples:
    samples = load(chosen.folder / row.audio)
    return samples[row.offset : None if row.length is None else row.offset + row.length]


def figure(chosen: EvalSet, answers: list[Answered]) -> float:
    """The set's measure, in percent."""
    if chosen.measure == "wer":
        return 100 * word_error_rate([a.row.answer for a in answers], [a.text for a in answers])
    if chosen.measure == "parts":
        parts = [(a.text, part) for a in answers for part in a.row.key.split(";")]
        return 100 * sum(right(text, part) for text, part in parts) / max(1, len(parts))
    if chosen.measure == "silent":
        of_recording: dict[object, bool] = {}
        for a in answers:
            of_recording[a.row.stretch] = of_recording.get(a.row.stretch, False) or invents(a)
        return 100 * sum(of_recording.values()) / max(1, len(of_recording))
    return 100 * sum(right(a.text, a.row.key) for a in answers) / max(1, len(answers))


def invents(answered: Answered) -> bool:
    """Whether the answer claims speech, or names a sound, where there is none.

    Any words of a transcription are speech, but those that say there is none.
    """
    if answered.row.task == "asr":
        said = spoken(answered.text)
        return bool(said) and said != spoken(NOTHING_SAID)
    return any(right(answered.text, name) for name in (*SYNONYMS, *CLAIMS))
