"""The real nano model on the shipped recording: it hears, and hears the same live as offline."""

from pathlib import Path

import pytest
import torch

from assistant.ear.hearing import Hearing
from assistant.files.presets import shipped_config
from assistant.model import Salmonn, load
from assistant.prompt.prompt import tasks
from assistant.rates import SAMPLE_RATE
from assistant.sound import recording
from lab.score import word_error_rate
from streaming.build import build_session
from streaming.config_file import load_config
from streaming.controls import Ask
from streaming.dialogue.session import one_each
from streaming.dialogue.work import NEED_DATA
from streaming.events import Event, ReplyDelta, ReplyEnded, ReplyStarted
from streaming.instruments.ledger import Latency
from streaming.instruments.replay import replay

pytestmark = pytest.mark.nano

DEMO = Path(__file__).parents[1] / "demo" / "kitchen.flac"
WAVES = DEMO.with_name("waves.flac")
SAID = (Path(__file__).parents[1] / "demo" / "kitchen.txt").read_text().splitlines()


def converse(
    model: Salmonn, chunk_bytes: int, instruction: str = "Transcribe the speech."
) -> list[Event]:
    config = load_config(shipped_config(), "nano")
    session = build_session(model, config, instruction, pace=one_each)
    pcm = recording.to_pcm16(recording.load(DEMO))
    events = replay(session, pcm, chunk_bytes=chunk_bytes)
    return [event for event in events if not isinstance(event, Latency)]


@pytest.fixture(scope="module")
def events(nano: Salmonn) -> list[Event]:
    return converse(nano, 640)


def replies(events: list[Event]) -> list[str]:
    texts, words = [], []
    for event in events:
        if isinstance(event, ReplyDelta):
            words.append(event.text)
        elif isinstance(event, ReplyEnded):
            texts.append("".join(words))
            words = []
    return texts


def test_what_was_said_is_recognisable(events: list[Event]) -> None:
    heard = replies(events)
    assert len(heard) == len(SAID)
    assert word_error_rate(SAID, heard) < 0.35, heard


def test_a_spoken_command_is_answered(nano: Salmonn) -> None:
    assert "light" in replies(converse(nano, 640, tasks()["listen"]))[0]


def test_what_was_that(nano: Salmonn) -> None:
    session = build_session(nano, load_config(shipped_config(), "nano"), "Reply.", pace=one_each)
    session.receive(recording.to_pcm16(recording.load(WAVES)))
    session.control(Ask("What was that sound?"))
    session.receive(bytes(2 * SAMPLE_RATE))
    session.receive_eof()
    events: list[Event] = []
    while (new := session.step()) is not NEED_DATA:
        assert isinstance(new, list)
        events += new
    assert "waves" in replies(events)[0]


def test_most_windows_were_prefilled_while_speech_went_on(events: list[Event]) -> None:
    for started in (e for e in events if isinstance(e, ReplyStarted)):
        assert started.prefilled_before_end > 0
        assert started.windows - started.prefilled_before_end <= 16  # two blocks of eight


def test_other_chunks_give_the_same_events(nano: Salmonn, events: list[Event]) -> None:
    assert converse(nano, 1_001) == events


def streamed_tokens(model: Salmonn, samples: torch.Tensor) -> torch.Tensor:
    stream = model.ear.stream()
    pieces = [stream.push(piece) for piece in samples.split(320)]
    return torch.cat([*pieces, stream.flush()])


def test_streamed_tokens_are_the_offline_tokens() -> None:
    config = load_config(shipped_config(), "nano").model
    exact = config.encoding.model_copy(update={"dtype": "float32"})
    model = load(config.model_copy(update={"encoding": exact}))
    samples = torch.from_numpy(recording.load(DEMO))
    torch.testing.assert_close(
        streamed_tokens(model, samples), model.ear.hear(samples), atol=1e-4, rtol=0
    )


def test_streamed_tokens_are_the_offline_tokens_where_they_are_rounded(nano: Salmonn) -> None:
    """bf16 products round by the shape they come in, and a token that is between two words may fall
    to either side: one of the 78 does, on processors that multiply bf16 without AMX."""
    samples = torch.from_numpy(recording.load(DEMO))
    streamed = streamed_tokens(nano, samples)
    cosines = torch.cosine_similarity(streamed, nano.ear.hear(samples))
    assert (cosines > 0.995).float().mean() > 0.95
    assert cosines.mean() > 0.995
    hearing = Hearing(nano.ear, silence_db=-1000.0)  # as `ask` hears, silence too
    windows = hearing.push(samples) + hearing.peek()
    assert torch.equal(torch.cat([window.tokens for window in windows]), streamed)


def test_nobody_spoke(nano: Salmonn) -> None:
    answer = "".join(nano.ask(torch.zeros(32_000).numpy(), "Transcribe the speech."))
    assert answer == "There is no speech."


def test_nothing_of_the_checkpoint_was_left_over(nano: Salmonn) -> None:
    assert nano.leftover == []
