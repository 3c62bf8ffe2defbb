"""Stage one: audio tokens learn to lie where the LLM's own embeddings lie, of the words spoken and
of the names of sounds.

The logits of an audio token are its cosines with the LLM's token embeddings (and with a learned
blank), times a learned scale; CTC (Graves et al. 2006) compares them with the transcript's tokens.
No LLM pass is needed.
"""

from collections import Counter

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from assistant.aligner import Aligner
from assistant.evaluation.score import word_error_rate
from assistant.training.features import FeatureStore
from assistant.training.hear import audio_tokens
from assistant.training.manifest import Row

START_SCALE = 10.0

FREQUENT = 1500
"""Tokens that compete in every step."""

RANDOM = 1500
"""Others that compete, drawn anew in every step."""


class CtcModule(nn.Module):
    """The aligner with what CTC needs on top."""

    def __init__(self, aligner: Aligner, embeddings: Tensor) -> None:
        """`embeddings`: (tokens in use, LLM width)."""
        super().__init__()
        self.aligner = aligner
        self.table: Tensor
        self.register_buffer("table", F.normalize(embeddings, dim=-1), persistent=False)
        self.blank = nn.Parameter(torch.randn(embeddings.shape[1]))
        self.log_scale = nn.Parameter(torch.tensor(START_SCALE).log())

    def forward(self, features: list[Tensor], among: Tensor | None = None) -> list[Tensor]:
        """Log probabilities per utterance, (tokens_i, 1 + tokens); the blank is first.

        Args:
            features: per utterance.
            among: rows of the table that compete; None: all.
        """
        tokens = audio_tokens(self.aligner, features)
        rows = self.table if among is None else self.table[among]
        table = torch.cat([F.normalize(self.blank, dim=0)[None], rows])
        cosines = F.normalize(torch.cat(tokens), dim=-1) @ table.T
        outputs = (self.log_scale.exp() * cosines).log_softmax(-1)
        return list(outputs.split([len(t) for t in tokens]))


class CtcStage:
    """`Stage` of CTC alignment."""

    def __init__(
        self, aligner: Aligner, embeddings: Tensor, tokenizer: Tokenizer, texts: list[str]
    ) -> None:
        """Args:
        aligner: trained in place.
        embeddings: the LLM's, (vocabulary, width).
        tokenizer: the LLM's.
        texts: everything heard in training; only its tokens can be output.
        """
        self._tokenizer = tokenizer
        counts = Counter(i for e in tokenizer.encode_batch(texts) for i in e.ids)
        used = [token for token, _ in counts.most_common()]
        self._used = used
        self._row = {token: row for row, token in enumerate(used)}
        self._ctc = CtcModule(aligner, embeddings[used])
        self.module: nn.Module = self._ctc

    def loss(self, features: list[Tensor], rows: list[Row]) -> Tensor:
        """Mean over utterances of the CTC loss per target token."""
        encodings = self._tokenizer.encode_batch([row.text for row in rows])
        wanted = [[self._row[i] for i in e.ids] for e in encodings]
        among = self._competitors({row for rows in wanted for row in rows})
        place = {row: i + 1 for i, row in enumerate(among)}
        targets = [torch.tensor([place[i] for i in t], dtype=torch.long) for t in wanted]
        outputs = self._ctc(features, torch.tensor(among))
        loss: Tensor = F.ctc_loss(
            nn.utils.rnn.pad_sequence(outputs),
            torch.cat(targets),
            torch.tensor([len(o) for o in outputs]),
            torch.tensor([len(t) for t in targets]),
            reduction="mean",
            zero_infinity=True,  # a transcript too long for its audio teaches nothing
        )
        return loss

    def _competitors(self, wanted: set[int]) -> list[int]:
        """The rows that compete in a step: those wanted, the most frequent, and others at random.

        A softmax over all tokens of a large text would be most of a step's work.
        """
        rest = torch.randperm(max(0, len(self._used) - FREQUENT))[:RANDOM] + FREQUENT
        frequent = range(min(FREQUENT, len(self._used)))
        return sorted(wanted.union(frequent, rest.tolist()))

    def transcribe(self, features: list[Tensor]) -> list[str]:
        """Greedy CTC: best token per step, repeats and blanks removed."""
        texts = []
        for output in self._ctc(features):
            best = torch.unique_consecutive(output.argmax(-1)).tolist()
            texts.append(self._tokenizer.decode([self._used[i - 1] for i in best if i]))
        return texts

    def figures(self, stores: dict[str, FeatureStore], counts: dict[str, int]) -> dict[str, float]:
        """Word error rate per store."""
        return {
            name: word_error_rate(
                [store.rows[i].text for i in range(min(counts[name], len(store)))],
                [
                    self.transcribe([store.features(i)])[0]
                    for i in range(min(counts[name], len(store)))
                ],
            )
            for name, store in stores.items()
        }
