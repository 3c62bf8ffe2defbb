"""The open turn's own state."""

import pytest

from streaming.dialogue.turn import Phase, Turn
from streaming.events import AudioPrefilled


def asked() -> Turn:
    turn = Turn(since=320, spoken_from=640)
    turn.prefilled += [AudioPrefilled(5120, 1), AudioPrefilled(10240, 2)]
    turn.windows, turn.last_caption_given = 2, True
    turn.secret += ["It", None]
    return turn


@pytest.mark.parametrize(
    ("until", "windows"), [(5119, 0), (5120, 1), (10239, 1), (10240, 2), (99999, 2)]
)
def test_windows_count_from_the_sample_they_were_prefilled_at(until: int, windows: int) -> None:
    assert asked().windows_prefilled(until) == windows


def test_a_turn_that_goes_on_keeps_what_was_heard_and_loses_its_reply() -> None:
    turn = asked()
    assert turn.finished
    turn.take_back()
    assert turn.windows is None
    assert not turn.secret
    assert not turn.last_caption_given  # there will be another last one
    assert (turn.since, turn.spoken_from, turn.phase) == (320, 640, Phase.OPEN)
    assert turn.windows_prefilled(10240) == 2


def test_a_secret_reply_is_finished_by_its_end_alone() -> None:
    turn = Turn(0)
    assert not turn.finished
    turn.secret.append("It")
    assert not turn.finished


@pytest.mark.parametrize("phase", Phase)
def test_what_is_said_belongs_to_a_turn_until_its_reply_follows(phase: Phase) -> None:
    turn = Turn(0, phase=phase)
    assert turn.may_go_on == (phase in (Phase.OPEN, Phase.WAITING))
    assert turn.is_open == (phase is not Phase.CLOSED)
    turn.close()
    assert turn.phase is Phase.CLOSED
