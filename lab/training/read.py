"""Later stages: the LLM reads the audio tokens. Next-token loss; LoRA and aligner train.

(SALMONN's pre-training and instruction tuning, section 3.2, at the size of two CPU cores.)
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from assistant.config import GenerationConfig
from assistant.ear.aligner import Aligner
from assistant.llm.llm import Llm
from assistant.prompt.prompt import Prompt, tasks
from lab.corpora.questions import arithmetic
from lab.corpora.texts import split_texts
from lab.features import FeatureStore
from lab.manifest import Row
from lab.score import right, word_error_rate
from lab.training.config import AloneConfig
from lab.training.ctc import CtcHead
from lab.training.hear import audio_tokens

GREEDY = GenerationConfig(max_new_tokens=60, beams=1)

NONE_ALONE = AloneConfig()

IGNORED = -100
"""Label of positions that carry no loss."""


def halve_layers(llm: Llm) -> None:
    """Keep frozen matrices of the LLM's layers in bf16: autocast need not cast them each step."""
    for layer in llm.model.get_base_model().model.layers:
        for module in layer.modules():
            if isinstance(module, nn.Linear) and not module.weight.requires_grad:
                module.weight.data = module.weight.data.bfloat16()


def sums() -> list[Row]:
    """All of arithmetic that is not held out; rows without a recording, to be given as text."""
    asked = {a.text: a for a in arithmetic()}
    train, _ = split_texts(list(asked))
    return [Row("", asked[t].answer, t, key=asked[t].key, task="listen") for t in train]


class ReadModule(nn.Module):
    """What this stage trains: the aligner, the LLM's adapters, what CTC needs."""

    def __init__(self, aligner: Aligner, llm: nn.Module, ctc: CtcHead | None) -> None:
        super().__init__()
        self.aligner = aligner
        self.llm = llm
        self.ctc = ctc


class ReadStage:
    """`Stage` of next-token training on answers."""

    def __init__(
        self,
        aligner: Aligner,
        llm: Llm,
        prompt: Prompt,
        text_share: float,
        transcript_share: float = 0.0,
        ctc: CtcHead | None = None,
        ctc_weight: float = 0.0,
        ctc_alone: AloneConfig = NONE_ALONE,
        text_sums: int = 0,
    ) -> None:
        """Args:
        aligner: trained.
        llm: with adapters, which are trained.
        prompt: of the preset. A row that brings no instruction gets that of its task.
        text_share: part of the rows given as text, so that the LLM answers a question the same
            read or heard.
        transcript_share: part of the others after whose audio tokens stands what Whisper's
            decoder reads.
        ctc: teaches the aligner, too, with all rows; None: the LLM alone teaches it.
        ctc_weight: of its loss.
        ctc_alone: which rows only `ctc` learns from.
        text_sums: how many of `sums` each step reads as text, beside its rows.
        """
        self._llm, self._prompt, self._text_share = llm, prompt, text_share
        self._transcript_share = transcript_share
        self._ctc, self._ctc_weight, self._ctc_alone = ctc, ctc_weight, ctc_alone
        self._sums, self._text_sums = sums(), text_sums
        self._aligner = aligner
        self.module: nn.Module = ReadModule(aligner, llm.model, ctc)
        self._embedding = llm.model.get_input_embeddings()
        self._end = llm.end_id

    def loss(self, features: list[Tensor], rows: list[Row]) -> Tensor:
        """Mean cross-entropy per answer token, and CTC's loss."""
        tokens = audio_tokens(self._aligner, features)
        if self._ctc is None:
            return self._reading(tokens, rows)
        aligned = self._ctc_weight * self._ctc.loss(tokens, [row.text for row in rows])
        draws, alone = torch.rand(len(rows)).tolist(), self._ctc_alone
        read = [
            (t, row)
            for t, row, drawn in zip(tokens, rows, draws, strict=True)
            if drawn >= (alone.transcriptions if row.task == "asr" else alone.others)
        ]
        if not read and not self._text_sums:
            return aligned
        return aligned + self._reading([t for t, _ in read], [row for _, row in read])

    def _reading(self, tokens: list[Tensor], rows: list[Row]) -> Tensor:
        """Mean cross-entropy per answer token, of `rows` and of sums."""
        given = [
            (self._given(t, row, *drawn), row)
            for t, row, drawn in zip(tokens, rows, torch.rand(len(rows), 2).tolist(), strict=True)
        ]
        for i in torch.randint(len(self._sums), (self._text_sums,)).tolist():
            given.append((self._embed(self._llm.ids(self._sums[i].text)), self._sums[i]))
        inputs, labels = zip(*(self._example(t, row) for t, row in given), strict=True)
        # Right padding: causal attention keeps it from touching anything before it.
        embeds = nn.utils.rnn.pad_sequence(list(inputs), batch_first=True)
        targets = nn.utils.rnn.pad_sequence(list(labels), batch_first=True, padding_value=IGNORED)
        base = self._llm.model.get_base_model()
        embeds = embeds.to(self._llm.dtype)
        hidden = base.model(inputs_embeds=embeds, use_cache=False).last_hidden_state
        wanted = targets[:, 1:] != IGNORED
        logits = base.lm_head(hidden[:, :-1][wanted])  # the head is a third of the model: only here
        return F.cross_entropy(logits.float(), targets[:, 1:][wanted])

    def _given(self, tokens: Tensor, row: Row, text: float, transcript: float) -> Tensor:
        """A row's text, or its audio tokens, with a transcript or without, by two draws."""
        if row.text and text < self._text_share:
            return self._embed(self._llm.ids(row.text))
        if row.heard and transcript < self._transcript_share:
            return torch.cat([tokens, self._embed(self._llm.ids(f"\n{row.heard}"))])
        return tokens

    def _example(self, tokens: Tensor, row: Row) -> tuple[Tensor, Tensor]:
        before, after = self._around(row)
        answer = [*self._llm.ids(row.answer), self._end]
        embeds = torch.cat(
            [self._embed(before), tokens.to(self._llm.dtype), self._embed(after + answer)]
        )
        labels = torch.full((len(embeds),), IGNORED)
        labels[-len(answer) :] = torch.tensor(answer)
        return embeds, labels

    def _around(self, row: Row) -> tuple[list[int], list[int]]:
        return self._prompt.ids(self._llm, row.instruction or tasks()[row.task])

    def _embed(self, ids: list[int]) -> Tensor:
        embedded: Tensor = self._embedding(torch.tensor(ids, dtype=torch.long))
        return embedded

    def figures(self, stores: dict[str, FeatureStore], counts: dict[str, int]) -> dict[str, float]:
        """Per store: word error rate of transcripts, `NAME right` for others."""
        found: dict[str, float] = {}
        for name, store in stores.items():
            step = max(1, len(store) // counts[name])
            chosen = list(range(0, len(store), step))[: counts[name]]
            answers = {i: self._answer(store, i) for i in chosen}
            spoken = [i for i in chosen if store.rows[i].task == "asr"]
            others = [i for i in chosen if i not in spoken]
            if spoken:
                found[name] = word_error_rate(
                    [store.rows[i].answer for i in spoken], [answers[i] for i in spoken]
                )
            if others:
                hits = [right(answers[i], store.rows[i].key) for i in others]
                found[f"{name} right"] = sum(hits) / len(hits)
        return found

    def _answer(self, store: FeatureStore, index: int) -> str:
        before, after = self._around(store.rows[index])
        cache = self._llm.cache()
        tokens = audio_tokens(self._aligner, [store.features(index)])[0]
        cache.extend(
            torch.cat([self._embed(before), tokens.to(self._llm.dtype), self._embed(after)])
        )
        return self._llm.tokenizer.decode(list(cache.tokens(GREEDY)))  # type: ignore[no-any-return]
