"""Whether what was said calls for a tool, by what the LLM makes of it.

Small LLMs that read of tools call them for most of what is said. So where a router was trained for
an LLM, it reads of tools only when they are needed.
"""

from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from assistant.errors import ComponentError
from assistant.files.weights import read_state
from assistant.llm.llm import Llm

CALLS = 0.5
"""Probability from which on a tool is called for."""

KNOWN_BY = "Is there anything that you can do for me, or do you only talk and listen?"
"""By the embeddings of its tokens an LLM is told from others."""

SAME = 0.99
"""Cosine between embeddings of the LLM that a router was trained for and those of another with the
same weights, however packed, at least."""


class Router:
    """A logistic model of what an LLM's last layer holds where its reply would begin."""

    def __init__(self, weight: Tensor, bias: float) -> None:
        """Args:
        weight: (LLM width,).
        bias: log odds where all is 0.
        """
        self.weight, self.bias = weight, bias

    def probability(self, read: Tensor) -> float:
        """The probability that a tool is called for; `read`: of the last position, (LLM width,)."""
        return float((read.float().cpu() @ self.weight + self.bias).sigmoid())

    def calls(self, read: Tensor) -> bool:
        """Whether a tool is called for; see `probability`."""
        return self.probability(read) >= CALLS


def load_router(path: Path, llm: Llm) -> Router | None:
    """Read the weights of a router; None: it was trained for another LLM, or the engine does not
    tell what the last layer holds.

    Args:
        path: tensors `weight`, `bias`, and `ids` and `embedding`, which say for which LLM: tokens,
            and the mean of their embeddings.
        llm: that it will judge.

    Raises:
        CheckpointError: it is no file of tensors.
        ComponentError: it holds something else.
    """
    state = read_state(path)
    if sorted(state) != ["bias", "embedding", "ids", "weight"]:
        raise ComponentError(f"{path}: not the weights of a tool router")
    weight, own = state["weight"].float(), state["embedding"].float()
    if int(state["ids"].max()) >= llm.vocabulary or own.shape != (llm.width,):
        return None
    mean = llm.embed(state["ids"].tolist()).float().mean(0).cpu()
    is_same = torch.cosine_similarity(mean, own, dim=0) >= SAME
    return Router(weight, float(state["bias"])) if is_same and llm.engine.tells_last else None


def save_router(router: Router, llm: Llm, path: Path) -> None:
    """Write a router that was trained for `llm` as safetensors in fp32."""
    ids = llm.ids(KNOWN_BY)
    state = {
        "weight": router.weight,
        "bias": torch.tensor(router.bias),
        "ids": torch.tensor(ids),
        "embedding": llm.embed(ids).float().mean(0).cpu(),
    }
    safetensors.torch.save_file(state, path)
