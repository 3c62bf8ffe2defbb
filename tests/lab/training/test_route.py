"""A tool router in closed form, nearly: what is told apart, and what is counted."""

import torch

from assistant.llm.router import Router
from lab.training.route import fit, rates


def test_what_a_line_tells_apart_is_learned() -> None:
    torch.manual_seed(0)
    read = torch.randn(400, 6) * torch.tensor([1.0, 50, 0.01, 1, 1, 1]) + 3
    calls = (read[:, 1] > 3).float()
    router = fit(read, calls, decay=1e-4)
    assert rates(router, read, calls.bool().tolist())[0] > 97
    assert abs(router.weight[0]) < 20 * abs(router.weight[1])


def test_rates_are_of_each_kind() -> None:
    router = Router(torch.tensor([1.0]), 0.0)
    read = [torch.tensor([number]) for number in (1.0, 2.0, -1.0, 3.0, -2.0)]
    assert rates(router, read, [True, True, True, False, False]) == (200 / 3, 50)
