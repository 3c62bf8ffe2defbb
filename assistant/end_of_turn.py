"""Whether a speaker has finished, judged at a pause.

A logistic model weighs what Whisper's encoder makes of the last 160 ms and, where its decoder reads
what is said, the mark that the decoder expects after the last word. `lab.training.ends` trains it.
"""

from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from assistant.captions.decoder import Ending
from assistant.errors import ComponentError
from assistant.files.weights import read_state

SILENT_FEATURES = 8
"""Features that are looked at, the last ones heard: 160 ms, as long as the pause is by then."""

MARKS = 3
"""Probabilities of an `Ending`."""

RAREST = 1e-4
"""They are told apart from here on, and up to 1 less this."""


def signs(features: Tensor, ending: Ending | None) -> Tensor:
    """What is weighed: the mean of the last features, and the log odds of the mark.

    Args:
        features: of Whisper's last layer up to now, (n, width), n > 0.
        ending: how the last word is followed; None: nothing is read.

    Returns:
        (width,), or (width + 3,) with a mark.
    """
    heard = features[-SILENT_FEATURES:].float().mean(0).cpu()
    if ending is None:
        return heard
    shares = torch.tensor([ending.closed, ending.open, ending.bare])
    return torch.cat([heard, shares.clamp(RAREST, 1 - RAREST).logit()])


class EndOfTurn:
    """The weights of the judgement, shared by all conversations."""

    def __init__(self, weights: Tensor, bias: float, *, reads: bool) -> None:
        """Args:
        weights: of `signs`, as many.
        bias: log odds where all signs are 0.
        reads: a mark is among the signs.
        """
        self._weights, self._bias = weights.float(), bias
        self.reads = reads
        """A mark is among the signs: it is for presets that read what is said."""

    @property
    def width(self) -> int:
        """Size of the features that it was made for."""
        return len(self._weights) - MARKS * self.reads

    def probability(self, signs: Tensor) -> float:
        """The probability that the speaker has finished, from `signs`."""
        return float((signs @ self._weights + self._bias).sigmoid())


def load_end_of_turn(path: Path) -> EndOfTurn:
    """Read what `save_end_of_turn` wrote.

    Raises:
        CheckpointError: it is no file of tensors.
        ComponentError: it holds something else.
    """
    state = read_state(path)
    features, marks, bias = (state.get(key) for key in ("features", "marks", "bias"))
    whole = features is not None and features.dim() == 1 and bias is not None and bias.dim() == 0
    if not whole or (marks is not None and marks.shape != (MARKS,)):
        raise ComponentError(f"{path}: not the weights of an end of turn")
    assert features is not None
    assert bias is not None
    weights = features if marks is None else torch.cat([features, marks])
    return EndOfTurn(weights, float(bias), reads=marks is not None)


def save_end_of_turn(judge: EndOfTurn, path: Path) -> None:
    """Write the weights of a judgement as safetensors, fp32."""
    features, marks = judge._weights.split([judge.width, len(judge._weights) - judge.width])
    state = {"features": features, "bias": torch.tensor(judge._bias)}
    if judge.reads:
        state["marks"] = marks
    safetensors.torch.save_file({key: tensor.clone() for key, tensor in state.items()}, path)
