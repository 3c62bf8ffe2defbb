"""The picture of a replay: steps where they would have been done, and well-formed SVG."""

from xml.etree import ElementTree

from streaming.dialogue.work import Work
from streaming.instruments.replay import Step, replay
from streaming.instruments.timeline import draw, lay_out
from tests.streaming.fakes import TURNS, pcm, session


def test_steps_wait_for_their_audio_and_for_each_other() -> None:
    steps = [
        Step(1600, Work.LISTEN, 0.05, []),
        Step(1600, Work.PREFILL, 0.02, []),
        Step(3200, Work.LISTEN, 0.01, []),
        Step(3200, Work.DECODE, 0.50, []),
        Step(4800, Work.LISTEN, 0.01, []),
    ]
    times = [(round(p.begin, 3), round(p.end, 3)) for p in lay_out(steps)]
    assert times == [(0.1, 0.15), (0.15, 0.17), (0.2, 0.21), (0.21, 0.71), (0.71, 0.72)]


def test_a_replay_is_drawn() -> None:
    audio = pcm("...SSSSSS" + "." * 20)
    steps: list[Step] = []
    turns = TURNS.model_copy(update={"captions": True})
    for _ in replay(session(turns=turns), audio, trace=steps):
        pass
    slow = [Step(s.at, s.work, 0.003, s.events) for s in steps]
    drawn = draw(slow, audio)
    root = ElementTree.fromstring(drawn)
    texts = ["".join(element.itertext()) for element in root]
    assert "I heard 4 windows" in texts
    assert "all" in "".join(texts)
    assert any("decode 3.0 ms" in text for text in texts)


def test_text_is_escaped() -> None:
    from streaming.events import ReplyDelta, ReplyEnded

    steps = [Step(0, Work.DECODE, 0.01, [ReplyDelta("<b> & c"), ReplyEnded(1, "complete")])]
    assert "&lt;b&gt; &amp; c" in draw(steps, b"")
    ElementTree.fromstring(draw(steps, b""))
