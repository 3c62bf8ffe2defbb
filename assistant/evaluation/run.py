"""Asking every system about every recording, and counting."""

from collections.abc import Callable
from dataclasses import dataclass

from assistant.audio import Samples, load
from assistant.evaluation.score import SYNONYMS, right, spoken, word_error_rate
from assistant.evaluation.sets import EvalSet
from assistant.evaluation.systems import System
from assistant.prompt import tasks
from assistant.training.manifest import Row
from assistant.training.sounds import NAMES
from assistant.training.synth import NOTHING_SAID


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer."""

    row: Row
    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """A set's figure for one system."""

    set: EvalSet
    system: str
    figure: float
    """In percent."""

    answers: list[Answered]


def evaluate(chosen: EvalSet, systems: dict[str, System], step: Callable[[], None]) -> list[Result]:
    """Ask all systems that can be asked about `chosen`.

    Args:
        chosen: what to measure on.
        systems: by name.
        step: called after each recording.
    """
    asked = [systems[name] for name in chosen.systems if name in systems]
    answers: dict[str, list[Answered]] = {system.name: [] for system in asked}
    for row in chosen.rows:
        samples = _samples(chosen, row)
        instruction = row.instruction or tasks()[row.task]
        for system in asked:
            text = system.answer(row, samples, instruction)
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
    judge = invents if chosen.measure == "silent" else _is_right
    return 100 * sum(judge(a) for a in answers) / max(1, len(answers))


def _is_right(answered: Answered) -> bool:
    return right(answered.text, answered.row.key)


def invents(answered: Answered) -> bool:
    """Whether the answer claims speech, or names a sound, where there is none."""
    if answered.row.task == "asr":
        said = spoken(answered.text)
        return bool(said) and said != spoken(NOTHING_SAID)
    names = {word for name in NAMES.values() for word in (name, *SYNONYMS.get(name, ()))}
    return any(right(answered.text, name) for name in names)
