"""8-bit products: close to fp32's, exact row by row, and of the right memory."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.int8 import DIGIT, Int8Linear, fast_int8

pytestmark = pytest.mark.skipif(not fast_int8(), reason="this processor has no 8-bit products")


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("digits", "error"), [(1, 1e-2), (2, 3e-4)])
def test_products_are_close(digits: int, error: float) -> None:
    weight, x = draw(40, 96), draw(7, 96, seed=1)
    found, wanted = Int8Linear(weight, digits)(x), F.linear(x, weight)
    assert found.shape == wanted.shape
    assert (found - wanted).norm() < error * wanted.norm()


def test_an_outlier_leaves_the_other_inputs_their_second_digit() -> None:
    weight, x = draw(40, 96), draw(1, 96, seed=1)
    x[0, 5] = 100.0
    weight[:, 5] = 0.0  # what is left is all of the others
    wanted = F.linear(x, weight)
    assert (Int8Linear(weight, 2)(x) - wanted).norm() < 0.02 * wanted.norm()


@settings(deadline=None)
@given(rows=st.integers(1, 9), cut=st.integers(0, 9), scale=st.sampled_from([1e-6, 1.0, 1e4]))
def test_a_row_is_the_same_bits_whatever_stands_beside_it(
    rows: int, cut: int, scale: float
) -> None:
    product = Int8Linear(draw(24, 32), 2)
    x = draw(rows, 32, seed=rows)
    x[-1] *= scale
    pieces = [product(piece) for piece in (x[:cut], x[cut:]) if len(piece)]
    assert torch.equal(torch.cat(pieces), product(x))


def test_the_greatest_numbers_do_not_overflow() -> None:
    weight, x = torch.full((8, 1536), 3.0), torch.full((2, 1536), 1e3)
    x[1] = -x[1]
    torch.testing.assert_close(Int8Linear(weight)(x), F.linear(x, weight), rtol=1e-5, atol=0)


def test_zeros_give_zeros() -> None:
    assert torch.equal(Int8Linear(draw(8, 16))(torch.zeros(2, 16)), torch.zeros(2, 8))
    assert torch.equal(Int8Linear(torch.zeros(8, 16), 2)(draw(2, 16)), torch.zeros(2, 8))


def test_packing_leaves_the_process_as_it_was() -> None:
    before = torch.backends.quantized.engine
    Int8Linear(draw(8, 16))
    assert torch.backends.quantized.engine == before


def test_a_digit_and_its_zero_point_fit_into_seven_bits() -> None:
    assert 2 * DIGIT + 1 == 2**7 - 1
