"""bf16 products: close to fp32's, everywhere, and in the format that came in."""

import torch
from torch import nn

from assistant.numerics.half import HalfLinear, halve_linears
from tests.assistant.ear.test_ear import BLOCK, make, sound


def test_a_layer_stays_close_and_keeps_the_format() -> None:
    for bias in (True, False):
        exact = nn.Linear(64, 32, bias=bias)
        half = HalfLinear(exact)
        x = torch.randn(5, 64)
        assert half(x).dtype == torch.float32
        assert half(x.bfloat16()).dtype == torch.bfloat16
        torch.testing.assert_close(half(x), exact(x), atol=0.03, rtol=0)
        assert half.out_features == 32


def test_every_linear_layer_of_an_ear_is_replaced_and_it_hears_the_same() -> None:
    exact, half = make(), make()
    halve_linears(half)
    assert not any(isinstance(m, nn.Linear) for m in half.modules())
    samples = sound(3 * BLOCK)
    cosines = torch.cosine_similarity(half.hear(samples), exact.hear(samples))
    assert cosines.min() > 0.99


def test_cut_differently_it_still_hears_the_same_bits() -> None:
    ear = make()
    halve_linears(ear)
    samples = sound(3 * BLOCK + 100)
    whole, cut = ear.stream(), ear.stream()
    wanted = torch.cat([whole.push(samples), whole.flush()])
    pieces = [cut.push(piece) for piece in samples.split(333)]
    assert torch.equal(torch.cat([*pieces, cut.flush()]), wanted)
