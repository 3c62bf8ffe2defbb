"""The streaming front end and anchors against their rules written out."""

import pytest
import torch
import whisper.audio
from torch import Tensor

from assistant.encoders.blocks import Anchored, MelBlocks, mel_span

BLOCK = 32  # features
SAMPLES = 320 * BLOCK


def loud_then_quiet() -> Tensor:
    """Four blocks: middling, loud, quiet, silent. The maximum rises once and then stays."""
    noise = torch.randn(4 * SAMPLES + 240, generator=torch.Generator().manual_seed(0))
    levels = torch.tensor([0.01, 0.5, 0.001, 0.0]).repeat_interleave(SAMPLES)
    return noise * torch.cat([levels, torch.zeros(240)])


def test_mel_is_whispers_clipped_under_the_running_maximum() -> None:
    samples = loud_then_quiet()
    window = torch.hann_window(400)
    stft = torch.stft(samples, 400, 160, window=window, return_complex=True)  # centred, reflected
    filters = whisper.audio.mel_filters(samples.device, 80)
    log_mel = (filters @ stft.abs() ** 2).clamp(min=1e-10).log10()
    stream, done, maximum = MelBlocks(80, BLOCK), 0, -torch.inf
    for block in range(4):
        first, last = block * BLOCK, (block + 1) * BLOCK
        start, end = mel_span(first, last)
        frames = stream.push(samples[start:end])
        new = log_mel[:, done : 2 * last + 1]  # one frame more than the block's own
        maximum = max(maximum, float(new.max()))
        expected = (torch.maximum(new, torch.tensor(maximum - 8)) + 4) / 4
        torch.testing.assert_close(frames[:, -new.shape[1] :], expected, atol=1e-5, rtol=0)
        assert frames.shape[1] == new.shape[1] + (3 if block else 0)
        done = 2 * last + 1


def test_many_blocks_at_once_are_the_same_frames() -> None:
    samples = loud_then_quiet()
    one, many = MelBlocks(80, BLOCK), MelBlocks(80, BLOCK)
    whole = many.push(samples[: 4 * SAMPLES + 200])
    parts = []
    for block in range(4):
        start, end = mel_span(block * BLOCK, (block + 1) * BLOCK)
        parts.append(one.push(samples[start:end])[:, 3 if block else 0 :])
    assert torch.equal(torch.cat(parts, 1), whole)


class Number(int):
    """A state that never changes."""

    def fork(self) -> "Number":
        return self


class Recorder:
    """A block encoder that notes what it is given."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, list[float]]] = []
        self.states = 0

    def start(self) -> Number:
        self.states += 1
        return Number(self.states)

    def attend(self, x: Tensor, state: Number, block: int) -> Tensor:
        self.calls.append((state, x[::block, 0].tolist()))
        return x

    def look_ahead(self, x: Tensor, state: Number, after: int) -> Tensor:
        self.calls.append((state, x[:, 0].tolist()))
        return x[: len(x) - after]


@pytest.mark.parametrize("at_once", [1, 2, 7])
def test_a_new_anchor_begins_with_the_last_blocks(at_once: int) -> None:
    encoder = Recorder()
    stream = Anchored(encoder, block=2, horizon=3, overlap=1)
    x = torch.arange(14.0)[:, None]  # seven blocks of two
    out = torch.cat([stream.push(piece) for piece in x.split(2 * at_once)])
    assert torch.equal(out, x)
    seen: dict[int, list[float]] = {}
    for state, blocks in encoder.calls:
        seen.setdefault(state, []).extend(blocks)
    assert list(seen.values()) == [[0, 2, 4], [4, 6, 8], [8, 10, 12]]


def test_what_follows_a_block_is_seen_with_it_and_pushed_again() -> None:
    encoder = Recorder()
    stream = Anchored(encoder, block=2, horizon=2, overlap=1)
    x = torch.arange(7.0)[:, None]
    out = [stream.push(x[at : at + 2], x[at + 2 : at + 3]) for at in range(0, 7, 2)]
    assert torch.equal(torch.cat(out), x)
    assert encoder.calls == [
        (1, [0, 1, 2]),
        (1, [2, 3, 4]),
        (2, [2]),  # a new anchor begins with the last block
        (2, [4, 5, 6]),
        (3, [4, 6]),
    ]
