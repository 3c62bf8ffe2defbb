"""Stage one: audio tokens learn to lie where the LLM's own embeddings lie, of the words spoken and
of the names of sounds.

The logits of an audio token are its cosines with the LLM's token embeddings (and with a learned
blank), times a learned scale; CTC (Graves et al. 2006) compares them with the transcript's tokens.
A recording of one sound has no order that CTC could teach: there every audio token is to lie near
the middle of its name's embeddings, nearer than to those of other sounds. No LLM pass is needed.
"""

from collections import Counter

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from assistant.ear.aligner import Aligner
from lab.features import FeatureStore
from lab.manifest import Row
from lab.score import word_error_rate
from lab.training.hear import audio_tokens
from lab.training.tag import SPEECH, classes_in

FREQUENT = 1500
"""Tokens that compete in every step."""

RANDOM = 1500
"""Others that compete, drawn anew in every step."""


class CtcHead(nn.Module):
    """What CTC needs on top of an aligner."""

    def __init__(
        self, embeddings: Tensor, tokenizer: Tokenizer, texts: list[str], scale: float
    ) -> None:
        """Args:
        embeddings: the LLM's, (vocabulary, width).
        tokenizer: the LLM's.
        texts: everything heard in training; only its tokens can be output.
        scale: what cosines are multiplied by at first.
        """
        super().__init__()
        self._tokenizer = tokenizer
        counts = Counter(i for e in tokenizer.encode_batch(texts) for i in e.ids)
        self._used = [token for token, _ in counts.most_common()]
        self._row = {token: row for row, token in enumerate(self._used)}
        self.table: Tensor
        table = F.normalize(embeddings[self._used], dim=-1)
        self.register_buffer("table", table, persistent=False)
        self.blank = nn.Parameter(torch.randn(embeddings.shape[1]))
        self.log_scale = nn.Parameter(torch.tensor(scale).log())
        self.sounds = sorted({s for text in texts if (s := lone_sound(text)) is not None})
        middles = [
            F.normalize(embeddings[tokenizer.encode(name).ids], dim=-1).mean(0)
            for name in self.sounds
        ]
        self.names: Tensor
        width = embeddings.shape[1]
        names = F.normalize(torch.stack(middles), dim=-1) if middles else torch.zeros(0, width)
        self.register_buffer("names", names, persistent=False)
        self.log_name_scale = nn.Parameter(torch.tensor(scale).log())

    def forward(self, tokens: list[Tensor], among: Tensor | None = None) -> list[Tensor]:
        """Log probabilities per utterance, (tokens_i, 1 + tokens in use); the blank is first.

        Args:
            tokens: audio tokens per utterance, (tokens_i, LLM width).
            among: rows of the table that compete; None: all.
        """
        rows = self.table if among is None else self.table[among]
        table = torch.cat([F.normalize(self.blank, dim=0)[None], rows])
        with torch.autocast("cpu", enabled=False):  # bf16 would round a logit by a tenth
            cosines = F.normalize(torch.cat(tokens).float(), dim=-1) @ table.T
        outputs = (self.log_scale.exp() * cosines).log_softmax(-1)
        return list(outputs.split([len(t) for t in tokens]))

    def loss(self, tokens: list[Tensor], texts: list[str]) -> Tensor:
        """Mean over recordings: of one sound, its name's cross-entropy among all; of others, the
        CTC loss per target token.
        """
        sounds = [lone_sound(text) for text in texts]
        heard = [i for i, sound in enumerate(sounds) if sound is None]
        named = [(i, sound) for i, sound in enumerate(sounds) if sound is not None]
        total = self.blank.new_zeros(())
        if heard:
            ctc = self._ctc_loss([tokens[i] for i in heard], [texts[i] for i in heard])
            total = total + ctc * len(heard)
        if named:
            logits = torch.stack([self._name_logits(tokens[i]) for i, _ in named])
            wanted = torch.tensor([self.sounds.index(sound) for _, sound in named])
            total = total + F.cross_entropy(logits, wanted, reduction="sum")
        return total / len(texts)

    def _name_logits(self, tokens: Tensor) -> Tensor:
        """Of one recording's audio tokens (n, LLM width): (sounds,)."""
        cosines = F.normalize(tokens.float(), dim=-1) @ self.names.T
        return self.log_name_scale.exp() * cosines.mean(0)

    def name(self, tokens: Tensor) -> str:
        """The sound whose name a recording's audio tokens (n, LLM width) are nearest to."""
        return self.sounds[int(self._name_logits(tokens).argmax())]

    def _ctc_loss(self, tokens: list[Tensor], texts: list[str]) -> Tensor:
        """Mean over utterances of the CTC loss per target token."""
        encodings = self._tokenizer.encode_batch(texts)
        wanted = [[self._row[i] for i in e.ids] for e in encodings]
        among = self._competitors({row for rows in wanted for row in rows})
        place = {row: i + 1 for i, row in enumerate(among)}
        targets = [torch.tensor([place[i] for i in t], dtype=torch.long) for t in wanted]
        outputs = self(tokens, torch.tensor(among))
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

    def transcribe(self, tokens: list[Tensor]) -> list[str]:
        """Greedy CTC: best token per step, repeats and blanks removed."""
        texts = []
        for output in self(tokens):
            best = torch.unique_consecutive(output.argmax(-1)).tolist()
            texts.append(self._tokenizer.decode([self._used[i - 1] for i in best if i]))
        return texts


def lone_sound(text: str) -> str | None:
    """The sound that a row's text names, if there is one and nothing else."""
    classes = classes_in(text)
    return classes.pop() if len(classes) == 1 and SPEECH not in classes else None


class CtcModule(nn.Module):
    """What this stage trains."""

    def __init__(self, aligner: Aligner, ctc: CtcHead) -> None:
        super().__init__()
        self.aligner, self.ctc = aligner, ctc  # named as in `ReadModule`, which goes on with both


class CtcStage:
    """`Stage` of CTC alignment."""

    def __init__(self, aligner: Aligner, head: CtcHead) -> None:
        """`aligner` is trained in place."""
        self._aligner, self._head = aligner, head
        self.module: nn.Module = CtcModule(aligner, head)

    def loss(self, features: list[Tensor], rows: list[Row]) -> Tensor:
        """See `CtcHead.loss`."""
        return self._head.loss(audio_tokens(self._aligner, features), [row.text for row in rows])

    def transcribe(self, features: list[Tensor]) -> list[str]:
        """Greedy CTC: best token per step, repeats and blanks removed."""
        return self._head.transcribe(audio_tokens(self._aligner, features))

    def name(self, features: Tensor) -> str:
        """The sound heard, of a recording's features (n, width)."""
        return self._head.name(audio_tokens(self._aligner, [features])[0])

    def figures(self, stores: dict[str, FeatureStore], counts: dict[str, int]) -> dict[str, float]:
        """Per store: word error rate; `NAME named`: share of its single sounds that are."""
        found: dict[str, float] = {}
        for name, store in stores.items():
            chosen = range(min(counts[name], len(store)))
            sounds = {i: s for i in chosen if (s := lone_sound(store.rows[i].text)) is not None}
            if sounds:
                hits = [self.name(store.features(i)) == sound for i, sound in sounds.items()]
                found[f"{name} named"] = sum(hits) / len(hits)
            spoken = [i for i in chosen if i not in sounds]
            if spoken:
                found[name] = word_error_rate(
                    [store.rows[i].text for i in spoken],
                    [self.transcribe([store.features(i)])[0] for i in spoken],
                )
        return found
