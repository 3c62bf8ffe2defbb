"""A reply drawn for a terminal: each moment in its column."""

import pytest

from streaming.dialogue.work import Work
from streaming.events import ReplyDelta, ReplyEnded, ReplyStarted, SpeechEnded, SpeechStarted
from streaming.instruments.explain import chart
from streaming.instruments.replay import Step

SECOND = 16_000

STEPS = [
    Step(SECOND, Work.LISTEN, 0.001, [SpeechStarted(SECOND)]),
    Step(2 * SECOND, Work.LISTEN, 0.4, []),
    Step(3 * SECOND, Work.PREFILL, 0.05, []),
    Step(4 * SECOND, Work.LISTEN, 0.001, [SpeechEnded(3 * SECOND, 4 * SECOND)]),
    Step(4 * SECOND, Work.DECODE, 0.1, [ReplyStarted(9, 5, 8, None)]),
    Step(4 * SECOND, Work.DECODE, 0.1, [ReplyDelta("Hello")]),
    Step(int(4.5 * SECOND), Work.DECODE, 0.2, [ReplyEnded(1, "complete")]),
]


def lanes(columns: int) -> dict[str, str]:
    lines = chart(STEPS, columns).plain.split("\n")
    return {line[:9].strip(): line[9:] for line in lines}


def test_every_moment_stands_in_its_column() -> None:
    # From 0.7 s, 0.3 s before the speech, to 4.7 s: 40 columns of 0.1 s.
    drawn = lanes(49)
    assert drawn["speech"] == " " * 3 + "━" * 20 + "┄" * 10
    assert drawn["listen"] == " " * 13 + "████"
    assert drawn["prefill"] == " " * 23 + "▒"
    assert drawn["reply"].index("|") == 35
    assert drawn[""].index("1 s") == 3
    assert drawn[""].index("4 s") == 33


@pytest.mark.parametrize("columns", [10, 40, 80, 200])
def test_no_line_is_longer_than_the_terminal_is_wide(columns: int) -> None:
    assert all(len(line) <= max(columns, 29) for line in chart(STEPS, columns).plain.split("\n"))


def test_a_lane_without_work_is_left_out() -> None:
    assert "captions" not in lanes(60)


def test_an_answer_to_a_typed_question_has_no_speech() -> None:
    steps = [step for step in STEPS if step.work is Work.DECODE]
    assert "|" in chart(steps, 60).plain
