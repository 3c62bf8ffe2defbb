"""Stage two: the LLM reads the audio tokens. Next-token loss on the answer; LoRA and aligner train.

(SALMONN's pre-training stage, section 3.2, at the size of two CPU cores.)
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from assistant.config import GenerationConfig
from assistant.ear import Aligner
from assistant.llm import Llm
from assistant.prompt import Prompt
from assistant.training.ctc import word_error_rate
from assistant.training.features import FeatureStore
from assistant.training.hear import audio_tokens
from assistant.training.manifest import Row

IGNORED = -100
"""Label of positions that carry no loss."""


class ReadModule(nn.Module):
    """What this stage trains: the aligner, and the LLM's adapters."""

    def __init__(self, aligner: Aligner, llm: nn.Module) -> None:
        super().__init__()
        self.aligner = aligner
        self.llm = llm


class ReadStage:
    """`Stage` of next-token training on answers."""

    def __init__(self, aligner: Aligner, llm: Llm, prompt: Prompt, instruction: str) -> None:
        """`instruction` is used for rows that bring none of their own."""
        self._llm, self._prompt, self._instruction = llm, prompt, instruction
        self._aligner = aligner
        self.module: nn.Module = ReadModule(aligner, llm.model)
        self._embedding = llm.model.get_input_embeddings()
        self._end = llm.end_id

    def loss(self, features: list[Tensor], rows: list[Row]) -> Tensor:
        """Mean cross-entropy per answer token."""
        heard = audio_tokens(self._aligner, features)
        inputs, labels = zip(
            *(self._example(tokens, row) for tokens, row in zip(heard, rows, strict=True)),
            strict=True,
        )
        # Right padding: causal attention keeps it from touching anything before it.
        embeds = nn.utils.rnn.pad_sequence(list(inputs), batch_first=True)
        targets = nn.utils.rnn.pad_sequence(list(labels), batch_first=True, padding_value=IGNORED)
        base = self._llm.model.get_base_model()
        hidden = base.model(inputs_embeds=embeds.to(self._llm.dtype)).last_hidden_state
        wanted = targets[:, 1:] != IGNORED
        logits = base.lm_head(hidden[:, :-1][wanted])  # the head is a third of the model: only here
        return F.cross_entropy(logits.float(), targets[:, 1:][wanted])

    def _example(self, tokens: Tensor, row: Row) -> tuple[Tensor, Tensor]:
        before, after = self._prompt.ids(self._llm, row.instruction or self._instruction)
        answer = [*self._llm.ids(row.answer), self._end]
        embeds = torch.cat(
            [self._embed(before), tokens.to(self._llm.dtype), self._embed(after + answer)]
        )
        labels = torch.full((len(embeds),), IGNORED)
        labels[-len(answer) :] = torch.tensor(answer)
        return embeds, labels

    def _embed(self, ids: list[int]) -> Tensor:
        embedded: Tensor = self._embedding(torch.tensor(ids, dtype=torch.long))
        return embedded

    def figures(self, stores: dict[str, FeatureStore], counts: dict[str, int]) -> dict[str, float]:
        """Word error rate of greedy answers per store."""
        return {name: self._error_rate(store, counts[name]) for name, store in stores.items()}

    def _error_rate(self, store: FeatureStore, count: int) -> float:
        rows = store.rows[:count]
        greedy = GenerationConfig(max_new_tokens=60, beams=1)
        answers = []
        for i, row in enumerate(rows):
            before, after = self._prompt.ids(self._llm, row.instruction or self._instruction)
            cache = self._llm.cache()
            tokens = audio_tokens(self._aligner, [store.features(i)])[0]
            cache.extend(
                torch.cat([self._embed(before), tokens.to(self._llm.dtype), self._embed(after)])
            )
            answers.append(self._llm.tokenizer.decode(list(cache.tokens(greedy))))
        return word_error_rate([row.answer for row in rows], answers)
