"""Everyday talks: how they are recorded, read by LLMs, and counted."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from assistant.errors import ConfigError
from assistant.model import Salmonn
from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples
from lab.corpora.sounds import Sound
from lab.corpora.voices import Voice
from lab.evaluation import recorded as recorded_module
from lab.evaluation.everyday import Asked, Talk
from lab.evaluation.recorded import (
    GAP_S,
    PAUSE_S,
    VOICES,
    Recorded,
    recordings,
)
from lab.evaluation.talks import SINGLE, Reader, every, judge, true_words

Read = Callable[[Voice, str, np.random.Generator], Samples]


def tone(seconds: float) -> Samples:
    """Loud from its first sample to its last, between two stretches of silence."""
    silence = np.zeros(SAMPLE_RATE // 2, np.float32)
    return np.concatenate([silence, np.ones(round(seconds * SAMPLE_RATE), np.float32), silence])


def sung(voice: Voice, text: str, rng: np.random.Generator) -> Samples:
    """A second of tone for every sentence."""
    return tone(1.0)


@pytest.fixture
def sings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said = []

    def read(voice: Voice, text: str, rng: np.random.Generator) -> Samples:
        said.append(f"{voice.engine}: {text}")
        return sung(voice, text, rng)

    monkeypatch.setattr(recorded_module, "read", read)
    return said


def talk(*asked: list[str], kind: str = "facts", sound: str | None = None) -> Talk:
    return Talk(kind, tuple(Asked(ask=ask, any=["yes"]) for ask in asked), sound)


def test_a_pause_is_as_long_as_it_is_said_to_be(sings: list[str], tmp_path: Path) -> None:
    (found,) = recordings([talk(["One.", "Two."])], tmp_path, tmp_path)
    (turn,) = found.turns
    assert len(turn) == round((2.0 + PAUSE_S) * SAMPLE_RATE)
    loud = np.abs(turn) > 0.1
    assert loud[: SAMPLE_RATE - 1].all()
    assert not loud[SAMPLE_RATE + 1 : round((1 + PAUSE_S) * SAMPLE_RATE) - 1].any()


def test_voices_take_turns_and_what_was_read_is_not_read_again(
    sings: list[str], tmp_path: Path
) -> None:
    asked = [talk([f"Question {n}."]) for n in range(len(VOICES) + 1)]
    first = list(recordings(asked, tmp_path, tmp_path))
    assert [one.voice for one in first] == [
        f"{voice.engine}/{voice.name}" for voice in (*VOICES, VOICES[0])
    ]
    assert len({voice.engine for voice in VOICES}) >= 3
    assert len(VOICES) >= 5
    assert len(sings) == len(asked)
    again = list(recordings(asked, tmp_path, tmp_path))
    assert len(sings) == len(asked)
    assert all((a.turns[0] == b.turns[0]).all() for a, b in zip(first, again, strict=True))


def test_a_sound_stands_before_its_question(
    sings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import soundfile

    soundfile.write(tmp_path / "bark.flac", tone(1.0)[8_000:-8_000] * 0.5, SAMPLE_RATE)
    bark = Sound(tmp_path / "bark.flac", "dog barking", "1", "dev", "CC0")
    monkeypatch.setattr(recorded_module, "_examples", lambda data: {"dog barking": bark})
    (found,) = recordings(
        [talk(["What was that?"], kind="sounds", sound="dog barking")], tmp_path, tmp_path
    )
    (turn,) = found.turns
    assert len(turn) == round((2.0 + GAP_S) * SAMPLE_RATE)
    assert np.abs(turn[:SAMPLE_RATE]).max() == pytest.approx(0.3, abs=0.01)


def test_a_voice_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(voice: Voice, text: str, rng: np.random.Generator) -> Samples:
        raise FileNotFoundError("flite")

    monkeypatch.setattr(recorded_module, "read", read)
    with pytest.raises(ConfigError, match="the voice hibari is missing"):
        list(recordings([talk(["One."])], tmp_path, tmp_path))


class Fixed:
    """Answers from a list."""

    def __init__(self, name: str, replies: dict[str, list[str]]) -> None:
        self.name, self._replies = name, replies

    def replies(self, recorded: Recorded) -> list[str]:
        return self._replies[recorded.talk.turns[0].ask[0]]


def heard(one: Talk) -> Recorded:
    silence = np.zeros(1, np.float32)
    names = tuple(f"{turn.ask[0]}.flac" for turn in one.turns)
    return Recorded(one, "flite/rms", names, tuple(silence for _ in one.turns))


def test_answers_are_counted_by_kind() -> None:
    fact = talk(["Is it?"])
    order = Talk("commands", (Asked(ask=["Stop."], no_act=True),))
    chat = Talk(
        "talks", (Asked(ask=["Hello?"], any=["hello"]), Asked(ask=["Really?"], any=["yes"]))
    )
    says = {"Is it?": ["Yes."], "Stop.": ["Done."], "Hello?": ["Hello.", "No."]}
    mute = {"Is it?": [""], "Stop.": [""], "Hello?": ["", ""]}
    steps: list[int] = []
    systems = [Fixed("a", says), Fixed("b", mute)]
    results = judge(map(heard, (fact, order, chat)), systems, lambda: steps.append(1))
    figures = {(r.set.name, r.system): r.figure for r in results}
    assert len(steps) == 3
    assert figures == {
        ("everyday-facts", "a"): 100.0, ("everyday-facts", "b"): 0.0,
        ("everyday-commands", "a"): 0.0, ("everyday-commands", "b"): 0.0,
        ("everyday-talks", "a"): 50.0, ("everyday-talks", "b"): 0.0,
        ("everyday-single", "a"): 50.0, ("everyday-single", "b"): 0.0,
        ("everyday-acts", "a"): 100.0, ("everyday-acts", "b"): 0.0,
    }  # fmt: skip
    (of_talks,) = [r for r in results if (r.set.name, r.system) == ("everyday-talks", "a")]
    assert [(a.row.text, a.text, a.right) for a in of_talks.answers] == [
        ("Hello?", "Hello.", True), ("Really?", "No.", False),
    ]  # fmt: skip


def test_an_llm_remembers_the_turns_before(tiny: Salmonn) -> None:
    """The second answer is that to the whole talk, as the LLM alone gives it."""
    greedy = tiny.config.generation.model_copy(update={"max_new_tokens": 6})
    reader = Reader("r", tiny.llm, tiny.prompt, "Hi.", greedy, true_words(words=False))
    chat = talk(["One."], ["Two."])
    first, second = reader.replies(heard(chat))
    assert reader.replies(heard(chat)) == [first, second]
    (alone,) = reader.replies(heard(talk(["One."])))
    assert alone == first
    (fresh,) = reader.replies(heard(talk(["Two."])))
    assert fresh != second


def test_true_words_tell_of_a_sound_that_is_heard() -> None:
    one = heard(talk(["What was that?"], kind="sounds", sound="rain"))
    assert true_words(words=False)(one, 0) == "(rain) What was that?"
    assert true_words(words=True)(one, 0) == "(Sounds heard: rain, 3 seconds ago.)\nWhat was that?"


def test_every_is_all_or_an_even_choice() -> None:
    whole = every(10_000)
    assert len(every(20)) == 20
    assert {one.kind for one in every(60)} == {one.kind for one in whole}


def test_single_questions_are_spread_over_all_kinds() -> None:
    whole = Counter(talk.kind for talk in every(10_000, SINGLE))
    assert set(whole) == set(SINGLE)
    some = Counter(talk.kind for talk in every(50, SINGLE))
    assert sum(some.values()) == 50
    share = 50 / sum(whole.values())
    assert all(abs(some[kind] - share * n) < 1 for kind, n in whole.items())
