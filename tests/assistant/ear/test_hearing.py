"""Hearing all the time: the grid, silence, the memory, and looking at the open block."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.ear.ear import Ear, EarStream
from assistant.ear.hearing import Hearing, Window
from tests.assistant.ear.test_ear import AHEAD, BLOCK, CACHED, RECOMPUTE, WINDOW, sound
from tests.laws import cuts

EARS = pytest.mark.parametrize(
    "ear", [CACHED, RECOMPUTE, AHEAD], ids=["cached", "recompute", "ahead"]
)


def same(first: list[Window], second: list[Window]) -> bool:
    return [w.at for w in first] == [w.at for w in second] and all(
        torch.equal(a.tokens, b.tokens) for a, b in zip(first, second, strict=True)
    )


def joined(windows: list[Window]) -> torch.Tensor:
    return torch.cat([window.tokens for window in windows])


@settings(max_examples=20, deadline=None)
@given(
    data=st.data(),
    blocks=st.lists(st.booleans(), min_size=1, max_size=8),
    rest=st.integers(0, BLOCK),
)
def test_windows_do_not_depend_on_the_cutting(
    data: st.DataObject, blocks: list[bool], rest: int
) -> None:
    samples = torch.cat([sound(BLOCK, i) * on for i, on in enumerate(blocks)] + [sound(rest)])
    whole, cut = Hearing(CACHED), Hearing(CACHED)
    wanted = whole.push(samples)
    found = [w for c in data.draw(cuts(len(samples))) for w in cut.push(samples[c])]
    assert same(found, wanted)
    assert same(cut.peek(), whole.peek())
    assert cut.heard == len(samples)


@EARS
def test_what_is_heard_without_silence_is_what_a_stream_hears(ear: object) -> None:
    block = ear.spans.block  # type: ignore[attr-defined]
    samples = sound(3 * block + block // 3)
    hearing, stream = Hearing(ear), ear.stream()  # type: ignore[arg-type,attr-defined]
    final = hearing.push(samples)
    assert torch.equal(joined(final), stream.push(samples))
    assert torch.equal(joined(hearing.peek()), stream.flush())
    step = ear.spans.window  # type: ignore[attr-defined]
    assert [w.at for w in final + hearing.peek()] == [
        i * step for i in range(len(final) + len(hearing.peek()))
    ]


def test_every_sample_that_is_not_silence_is_in_a_window() -> None:
    samples = sound(7 * BLOCK)
    samples[2 * BLOCK : 4 * BLOCK] = 0
    hearing = Hearing(CACHED)
    found = hearing.push(torch.cat([samples, torch.zeros(CACHED.ahead)]))
    assert [w.at // BLOCK for w in found] == [b for b in (0, 1, 4, 5, 6) for _ in range(2)]
    assert all(w.at % WINDOW == 0 for w in found)


def test_after_silence_the_encoders_begin_anew() -> None:
    speech = sound(2 * BLOCK + CACHED.ahead)
    later, fresh = Hearing(CACHED), Hearing(CACHED)
    later.push(sound(BLOCK, 5))
    later.push(torch.zeros(BLOCK))
    heard_later = later.push(speech)[-4:]
    heard_fresh = fresh.push(speech)
    assert torch.equal(joined(heard_later), joined(heard_fresh))
    assert [w.at - 2 * BLOCK for w in heard_later] == [w.at for w in heard_fresh]


@pytest.mark.parametrize(("decibels", "windows"), [(-65.5, 0), (-64.5, 2)])
def test_the_gate_is_where_it_says(decibels: float, windows: int) -> None:
    level = 10 ** (decibels / 20)
    samples = torch.full((BLOCK + CACHED.ahead,), level) * torch.tensor([1.0, -1.0]).repeat(
        (BLOCK + CACHED.ahead) // 2
    )
    assert len(Hearing(CACHED, silence_db=-65.0).push(samples)) == windows


def test_memory_is_bounded_by_time() -> None:
    hearing = Hearing(CACHED, keep_s=2 * BLOCK / 16_000)
    hearing.push(sound(6 * BLOCK))
    assert min(w.at for w in hearing.windows) >= 4 * BLOCK
    before = len(hearing.windows)
    hearing.push(torch.zeros(10 * BLOCK))
    assert before
    assert not hearing.windows


def test_digital_silence_is_not_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    hearing = Hearing(CACHED)
    monkeypatch.setattr(type(CACHED), "stream", lambda self: pytest.fail("encoded"))
    assert hearing.push(torch.zeros(20 * BLOCK)) == []
    assert hearing.peek() == []


@EARS
def test_windows_bring_the_features_that_captions_are_read_from(ear: object) -> None:
    block = ear.spans.block  # type: ignore[attr-defined]
    samples = sound(2 * block + block // 3)
    hearing = Hearing(ear)  # type: ignore[arg-type]
    windows = hearing.push(samples) + hearing.peek()
    speech = torch.cat([window.speech for window in windows])
    stream = ear.stream()  # type: ignore[attr-defined]
    parts = []
    for step in (lambda: stream.push(samples), stream.flush):
        step()
        parts.append(stream.speech)
    assert torch.equal(speech, torch.cat(parts))
    if ear is CACHED:
        wanted, _ = CACHED.encode_blocks(samples)
        torch.testing.assert_close(speech, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("change", [-1, 0, 1])
def test_tokens_and_the_features_they_were_made_of_agree_in_number(
    monkeypatch: pytest.MonkeyPatch, change: int
) -> None:
    whole: property = EarStream.__dict__["speech"]
    window = CACHED.aligner.config.window_features

    def speech(stream: EarStream) -> torch.Tensor:
        """So many windows' features too few or too many."""
        found: torch.Tensor = whole.__get__(stream)
        return torch.cat([found, found[:window]])[: len(found) + change * window]

    monkeypatch.setattr(EarStream, "speech", property(speech))
    hearing = Hearing(CACHED)
    if change == 0:
        assert len(hearing.push(sound(2 * BLOCK))) > 0
    else:
        with pytest.raises(ValueError, match="zip"):
            hearing.push(sound(2 * BLOCK))


@pytest.mark.parametrize("ear", [AHEAD, CACHED, RECOMPUTE], ids=["ahead", "cached", "recompute"])
def test_what_is_forgotten_is_not_encoded_either(ear: Ear) -> None:
    block = ear.spans.block
    samples = sound(3 * block + ear.ahead)
    since, until = block + 100, block + ear.ahead  # of the second block, which the first looked at
    quiet = samples.clone()
    quiet[since:until] = 0
    forgetting = Hearing(ear)
    forgetting.push(samples[: block + ear.ahead])
    forgetting.forget(since, until)
    found = forgetting.push(samples[block + ear.ahead :])
    wanted = ear.stream()
    wanted.push(samples[: block + ear.ahead])
    wanted.correct(quiet[block : block + ear.ahead])
    assert torch.equal(joined(found), wanted.push(samples[block + ear.ahead :]))
