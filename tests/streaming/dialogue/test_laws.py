"""What holds for a session whatever is said, with a scripted model."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.dialogue.work import NEED_DATA
from streaming.events import (
    Event,
    ReplyEnded,
    ReplyStarted,
    SpeechEnded,
    SpeechStarted,
)
from tests.laws import cuts
from tests.streaming.fakes import (
    TURNS,
    Echo,
    converse,
    paced,
    pcm,
    session,
)

# Runs long enough to start and end utterances; letters drawn one by one almost never do.
runs = st.lists(st.tuples(st.integers(1, 14), st.integers(1, 16)), max_size=6)
scripts = runs.map(lambda runs: "".join("S" * speech + "." * pause for speech, pause in runs))
SECRETLY, OPENLY = TURNS, TURNS.model_copy(update={"speculate": False})


@settings(max_examples=200)
@given(data=st.data(), script=scripts)
def test_any_rechunking_gives_identical_events(data: st.DataObject, script: str) -> None:
    audio = pcm(script)
    chunks = [audio[cut] for cut in data.draw(cuts(len(audio)))]
    assert converse(session(), chunks) == converse(session(), [audio])


@settings(max_examples=200)
@given(script=scripts, pace=st.sampled_from([1, 2, 50]))
def test_speculation_changes_no_event(script: str, pace: int) -> None:
    secretly = converse(session(turns=SECRETLY, pace=paced(pace)), [pcm(script)])
    assert secretly == converse(session(turns=OPENLY, pace=paced(pace)), [pcm(script)])


@settings(max_examples=50)
@given(st.lists(scripts, min_size=2, max_size=3), st.data())
def test_sessions_that_take_turns_are_independent(talks: list[str], data: st.DataObject) -> None:
    alone = [converse(session(), [pcm(script)]) for script in talks]
    together = [session() for _ in talks]
    events: list[list[Event]] = [[] for _ in talks]
    for talk, script in zip(together, talks, strict=True):
        talk.receive(pcm(script))
        talk.receive_eof()
    busy = set(range(len(talks)))
    while busy:
        chosen = data.draw(st.sampled_from(sorted(busy)))
        new = together[chosen].step()
        if new is NEED_DATA:
            busy.discard(chosen)
        else:
            assert isinstance(new, list)
            events[chosen] += new
    assert events == alone


@given(scripts)
def test_every_sample_is_heard_once(script: str) -> None:
    listener = Echo()
    converse(session(listener), [pcm(script)])
    heard = np.concatenate([np.zeros(0, np.float32), *listener.heard])
    assert (heard * 32768).astype("<i2").tobytes() == pcm(script)


@given(scripts)
def test_every_utterance_is_answered_or_was_too_short_to_interrupt(script: str) -> None:
    listener = Echo()
    events = converse(session(listener), [pcm(script)])
    starts = [e for e in events if isinstance(e, SpeechStarted)]
    ends = [e for e in events if isinstance(e, SpeechEnded)]
    replies = [e for e in events if isinstance(e, ReplyStarted)]
    assert len(starts) == len(ends)
    assert len(replies) == sum(isinstance(e, ReplyEnded) for e in events)
    opened = sum(entry.startswith("open") for entry in listener.diary)
    assert len(replies) <= opened <= len(starts)
    assert not listener.is_open
