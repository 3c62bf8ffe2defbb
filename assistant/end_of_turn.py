"""Whether a speaker has finished, judged at a pause.

A logistic model weighs what Whisper's encoder makes of the last 160 ms against, for an LLM that
reads words, what Whisper's decoder and the LLM expect after the last word. `lab.training.ends`
trains it.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from assistant.captions.decoder import CLOSING, GOING_ON, Ending
from assistant.errors import ComponentError
from assistant.files.weights import read_state
from assistant.llm.llm import Llm

SILENT_FEATURES = 8
"""Features that are looked at, the last ones heard: 160 ms, as long as the pause is by then."""

RAREST = 1e-4
"""Probabilities are told apart from here on, and up to 1 less this."""


BEFORE = 'Ġ▁ "'
"""What may stand before a mark in a token: quotes, and spaces as tokenizers write them."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected after the last word that was said."""

    mark: Ending
    """By Whisper's decoder."""

    closed: float
    """Probability by the LLM of a mark that ends a sentence, or of the end of the user's text."""

    open: float
    """Probability by the LLM of a mark after which a sentence goes on."""

    def log_odds(self) -> Tensor:
        """Log odds of all five, shape (5,)."""
        mark = self.mark
        shares = torch.tensor([mark.closed, mark.open, mark.bare, self.closed, self.open])
        return shares.clamp(RAREST, 1 - RAREST).logit()


class EndOfTurn:
    """The weights of the judgement, shared by all conversations."""

    def __init__(self, heard: Tensor, expected: Tensor | None, bias: float) -> None:
        """Args:
        heard: weights of the mean of Whisper's last features, (width,).
        expected: weights of `Expected.log_odds`, (5,); None: for LLMs that read no words.
        bias: log odds where all of these are 0.
        """
        self._heard, self._expected, self._bias = heard, expected, bias

    @property
    def width(self) -> int:
        """Size of the features that it was made for."""
        return len(self._heard)

    @property
    def reads_words(self) -> bool:
        """Whether it asks what is expected."""
        return self._expected is not None

    def probability(self, features: Tensor, expected: Expected | None) -> float:
        """The probability that the speaker has finished.

        Args:
            features: of Whisper's last layer up to now, (n, width), n > 0; the last ones count.
            expected: after the last word; needed where `reads_words`.
        """
        odds = features[-SILENT_FEATURES:].float().mean(0).cpu() @ self._heard + self._bias
        if self._expected is not None:
            assert expected is not None, "it was made for an LLM that reads words"
            odds = odds + expected.log_odds() @ self._expected
        return float(odds.sigmoid())


def load_end_of_turn(path: Path) -> EndOfTurn:
    """Read the weights of a judgement: tensors `heard`, `bias` and maybe `expected`.

    Raises:
        CheckpointError: it is no file of tensors.
        ComponentError: it holds something else.
    """
    state = {key: tensor.float() for key, tensor in read_state(path).items()}
    heard, expected, bias = (state.get(key) for key in ("heard", "expected", "bias"))
    known = heard is not None and heard.dim() == 1 and bias is not None and bias.numel() == 1
    if not known or (expected is not None and expected.shape != (5,)):
        raise ComponentError(f"{path}: not the weights of an end of turn")
    assert heard is not None
    assert bias is not None
    return EndOfTurn(heard, expected, float(bias))


def marks(llm: Llm) -> tuple[Tensor, Tensor]:
    """The tokens of an LLM that begin with a mark that ends a sentence, or that end a text, and
    those that begin with a mark after which it goes on: two masks, bool (vocabulary,)."""
    closing = torch.zeros(llm.vocabulary, dtype=torch.bool)
    going_on = torch.zeros_like(closing)
    known = min(llm.vocabulary, len(llm.tokenizer))
    for token, text in enumerate(llm.tokenizer.convert_ids_to_tokens(list(range(known)))):
        shown = (text or "").lstrip(BEFORE)
        closing[token] = shown.startswith(CLOSING) and not shown.startswith("..")
        going_on[token] = shown.startswith((*GOING_ON, "..", ";", ":"))
    closing[list(llm.stop_ids)] = True
    return closing, going_on
