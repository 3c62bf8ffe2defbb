"""A text of somebody else's, spoken in steps."""

from hypothesis import given

from streaming.controls import Ask, Commit, Control, Played, Write
from streaming.dialogue.aloud import AHEAD_S
from streaming.dialogue.narrator import Narrator
from streaming.dialogue.work import NEED_DATA, Urgency
from streaming.events import Event, ReplyAudio, ReplyEnded
from tests.laws import cuts
from tests.streaming.fakes import CHARACTER, Speaker

TEXT = "Hello there. I shall now tell you all about it, from the beginning to the end of it. "


def steps(narrator: Narrator, *controls: Control) -> list[Event]:
    for control in controls:
        narrator.control(control)
    events: list[Event] = []
    while (new := narrator.step()) is not NEED_DATA:
        assert narrator.work.value == "voice"
        events += new
    return events


@given(cuts(len(TEXT)))
def test_how_the_text_is_cut_makes_no_difference(pieces: list[slice]) -> None:
    whole = steps(Narrator(Speaker()), Write(TEXT), Commit())
    narrator = Narrator(Speaker())
    events = [event for piece in pieces for event in steps(narrator, Write(TEXT[piece]))]
    assert [*events, *steps(narrator, Commit())] == whole
    assert isinstance(whole[-1], ReplyEnded)
    assert "".join(event.text for event in whole if isinstance(event, ReplyAudio)) == TEXT


def test_no_more_is_made_than_was_passed_on_and_some_seconds() -> None:
    narrator = Narrator(Speaker())
    made = steps(narrator, Write(TEXT * 50), Commit(), Ask("is not asked here"))
    seconds = sum(len(e.pcm) for e in made if isinstance(e, ReplyAudio)) / 48e3
    assert AHEAD_S < seconds < AHEAD_S + 3
    assert narrator.urgency is None
    narrator.control(Played(0, 10**9))
    assert narrator.urgency is Urgency.VOICE
    rest = steps(narrator)
    assert isinstance(rest[-1], ReplyEnded)
    spoken = [event for event in [*made, *rest] if isinstance(event, ReplyAudio)]
    assert sum(len(event.pcm) for event in spoken) == 2 * CHARACTER * len(TEXT) * 50
    assert narrator.urgency is None
