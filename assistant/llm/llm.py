"""The language model: any causal LM that transformers loads, LoRA, and an explicit KV cache.

`Llm` is shared weights. `LlmCache` is one conversation's state: text and audio tokens are
embeddings alike, and go in with `extend` as soon as they are known.
"""

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from assistant.config import GenerationConfig
from assistant.errors import ConfigError, ContextFullError
from assistant.llm.detokenizer import Detokenizer, Pieces
from assistant.llm.engines.engine import Engine, TransformersEngine
from assistant.llm.packed_llm import PackedLlm, Rows

if TYPE_CHECKING:  # importing them takes seconds, and a packed LLM needs none of it
    import peft
    from transformers import PreTrainedModel


class Llm:
    """A causal LM with its tokenizer, and LoRA merged or beside it."""

    def __init__(
        self,
        model: "PreTrainedModel | peft.PeftModel | PackedLlm",
        tokenizer: PreTrainedTokenizerBase,
        stop: list[str],
        engine: Engine | None = None,
    ) -> None:
        """Args:
        model: frozen weights; packed ones are for answering alone.
        tokenizer: its tokenizer.
        stop: tokens that end an answer, besides the model's own.
        engine: runs the layers; None: transformers does.

        Raises:
            ConfigError: a stop token is not one token of this tokenizer.
        """
        self.model: PreTrainedModel | peft.PeftModel = model
        self.tokenizer = tokenizer
        own = model.engine if isinstance(model, PackedLlm) else None
        self.engine = engine or own or TransformersEngine(model)
        self._embedding: nn.Embedding | Rows = model.get_input_embeddings()
        self.stop_ids = _stop_ids(model, tokenizer, stop)
        self.end_id: int = (
            tokenizer.convert_tokens_to_ids(stop[0]) if stop else _own_end(tokenizer, self.stop_ids)
        )
        """The token that an answer in the context ends with, and training ends one with."""
        self._pieces = Pieces(tokenizer)

    def over(self, model: "PreTrainedModel | peft.PeftModel | PackedLlm", engine: Engine) -> "Llm":
        """The same over other weights of the same LLM, such as merged ones.

        The tokenizer, which takes long to read, is shared.
        """
        other = copy.copy(self)
        other.model, other.engine = model, engine
        other._embedding = model.get_input_embeddings()
        return other

    @property
    def width(self) -> int:
        """Size of an embedding."""
        return int(self._embedding.weight.shape[1])

    @property
    def vocabulary(self) -> int:
        """How many tokens there are; logits are as wide."""
        return int(self.model.config.vocab_size)

    @property
    def device(self) -> torch.device:
        """Where embeddings are."""
        return self._embedding.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Number format of embeddings."""
        return self._embedding.weight.dtype

    @property
    def context(self) -> int | None:
        """Positions the model was made for, where its configuration says."""
        found: int | None = getattr(self.model.config, "max_position_embeddings", None)
        return found

    def room(self, needed: int) -> int:
        """Positions left after `needed` ones; a large number where the model states no limit.

        Raises:
            ContextFullError: fewer than one is left.
        """
        limit = self.context if self.context is not None else 2**31
        if needed >= limit:
            raise ContextFullError(
                f"{needed} positions are needed and one for an answer; "
                f"the LLM's context holds {limit}"
            )
        return limit - needed

    def ids(self, text: str) -> list[int]:
        """Token ids of a piece of the prompt, nothing added before or after."""
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def embed(self, ids: list[int]) -> Tensor:
        """Embeddings (n, width) of token ids."""
        with torch.inference_mode():
            index = torch.tensor(ids, dtype=torch.long, device=self.device)
            embeds: Tensor = self._embedding(index)
        return embeds

    def take(self, tokens: Tensor) -> Tensor:
        """Audio tokens on this LLM's device, in its number format."""
        return tokens.to(self.device, self.dtype)

    def cache(self) -> "LlmCache":
        """Begin a conversation."""
        return LlmCache(self)

    def begun(self, ids: list[int], at_once: int) -> "LlmCache":
        """A conversation that holds `ids`; where it takes long, as a start before had made it.

        Args:
            ids: token ids, one or more.
            at_once: how many are put in together.
        """
        cache = self.cache()
        if isinstance(self.model, PackedLlm):
            cache._state, cache._last = self.model.begun(ids, at_once)
            return cache
        for piece in self.embed(ids).split(at_once):
            cache.extend(piece)
        return cache

    def detokenizer(self) -> Detokenizer:
        """Begin to turn an answer's tokens into text."""
        return Detokenizer(self._pieces)

    @torch.inference_mode()
    def beam_search(self, embeds: Tensor, config: GenerationConfig) -> list[int]:
        """The best of `config.beams` beams after `embeds` (n, width); stop tokens left out.

        With `config.sample` beams are drawn instead of taken (beam sampling, as SALMONN's first
        code did).

        Raises:
            ContextFullError: `embeds` are more than the context holds.
        """
        room = self.room(len(embeds))
        if config.sample:
            torch.manual_seed(config.seed)
        chance = {"temperature": config.temperature, "top_p": config.top_p}
        out = self.model.generate(
            inputs_embeds=self.take(embeds)[None],
            attention_mask=torch.ones(1, len(embeds), dtype=torch.long, device=self.device),
            num_beams=config.beams,
            do_sample=config.sample,
            **(chance if config.sample else dict.fromkeys(chance)),
            max_new_tokens=min(config.max_new_tokens, room),
            min_length=1,
            repetition_penalty=config.repetition_penalty,
            length_penalty=config.length_penalty,
            eos_token_id=sorted(self.stop_ids) or None,
            pad_token_id=min(self.stop_ids, default=0),
        )
        return [i for i in out[0].tolist() if i not in self.stop_ids]


class LlmCache:
    """Keys and values of what one conversation holds, and what follows its last position."""

    def __init__(self, llm: Llm) -> None:
        self._llm = llm
        self._state = llm.engine.start()
        self._last: Tensor | None = None  # what the engine makes logits of
        self._logits: Tensor | None = None  # after the last position, once they were asked for
        self._seen: list[int] = []  # tokens chosen here, for the repetition penalty
        self._unfed: list[int] = []  # the last one chosen: fed only when something follows it

    @property
    def length(self) -> int:
        """Positions held, the token chosen last included."""
        return self._llm.engine.length(self._state) + len(self._unfed)

    def extend(self, embeds: Tensor) -> None:
        """Append embeddings (n, width), n >= 0.

        Raises:
            ContextFullError: the model's context would overflow.
        """
        limit = self._llm.context
        if limit is not None and self.length + len(embeds) > limit:
            raise ContextFullError(
                f"{self.length + len(embeds)} positions are needed; the LLM's context holds {limit}"
            )
        with torch.inference_mode():  # as a decorator it would hide from mypy that this is None
            if self._unfed:
                chosen = self._llm.embed(self._unfed)
                embeds = torch.cat([chosen, self._llm.take(embeds)]) if len(embeds) else chosen
                self._unfed = []
            if len(embeds):
                self._last = self._llm.engine.append(self._state, self._llm.take(embeds))
                self._logits = None

    @torch.inference_mode()
    def logits(self) -> Tensor:
        """After what `extend` was given last, (vocabulary,), fp32.

        Raises:
            RuntimeError: nothing stands before them: `extend` first.
        """
        if self._last is None:
            raise RuntimeError("next_token() needs extend() first")
        if self._logits is None:
            self._logits = self._llm.engine.logits(self._last)
        return self._logits

    @torch.inference_mode()
    def next_token(
        self,
        config: GenerationConfig,
        random: torch.Generator | None = None,
        mask: Tensor | None = None,
    ) -> int:
        """Choose the next token and append it.

        Args:
            config: greedy or sampling, and how.
            random: source of chance when sampling.
            mask: bool (vocabulary,), which tokens may be chosen; None: all.

        Returns:
            A token id; a stop token is returned but not appended.

        Raises:
            RuntimeError: nothing stands before it: `extend` first.
        """
        if self._unfed:
            self.extend(self._llm.embed([]))
        logits = _penalise(self.logits(), self._seen, config.repetition_penalty)
        if mask is not None:
            logits = logits.masked_fill(~mask.to(logits.device), float("-inf"))
        token = _sample(logits, config, random) if config.sample else int(logits.argmax())
        if token not in self._llm.stop_ids:
            self._seen.append(token)
            self._unfed = [token]
        return token

    def tokens(self, config: GenerationConfig) -> Iterator[int]:
        """An answer: tokens until a stop token, `max_new_tokens` or the end of the context."""
        random = torch.Generator(self._llm.device).manual_seed(config.seed)
        limit = self._llm.context
        for _ in range(config.max_new_tokens):
            if limit is not None and self.length >= limit:
                return
            token = self.next_token(config, random)
            if token in self._llm.stop_ids:
                return
            yield token

    def truncate(self, length: int) -> None:
        """Forget all positions from `length` on, and which tokens were said.

        Unless only the token chosen last is dropped, `extend` must follow before the next one.

        Raises:
            ValueError: `length` is not between 0 and the positions held.
        """
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot truncate {self.length} positions to {length}")
        if length < self.length:
            held = self.length - len(self._unfed)
            if length < held:
                self._llm.engine.truncate(self._state, length)
                self._last = self._logits = None
            self._unfed, self._seen = [], []

    def fork(self) -> "LlmCache":
        """An independent copy: what happens to one does not touch the other."""
        twin = LlmCache(self._llm)
        twin._state = self._llm.engine.fork(self._state)
        twin._last, twin._logits = self._last, self._logits
        twin._seen = list(self._seen)
        twin._unfed = list(self._unfed)
        return twin


def _penalise(logits: Tensor, seen: list[int], penalty: float) -> Tensor:
    """Keskar et al. 2019 (CTRL), section 4.1: divide positive, multiply negative logits."""
    if penalty == 1.0 or not seen:
        return logits
    index = torch.tensor(sorted(set(seen)), device=logits.device)
    chosen = logits[index]
    out = logits.clone()
    out[index] = torch.where(chosen > 0, chosen / penalty, chosen * penalty)
    return out


def _sample(logits: Tensor, config: GenerationConfig, random: torch.Generator | None) -> int:
    """Nucleus sampling (Holtzman et al. 2020)."""
    probabilities, order = (logits / config.temperature).softmax(-1).sort(descending=True)
    before = probabilities.cumsum(-1) - probabilities
    kept = probabilities.masked_fill(before >= config.top_p, 0.0)
    return int(order[torch.multinomial(kept, 1, generator=random)])


def _stop_ids(
    model: "PreTrainedModel | peft.PeftModel", tokenizer: PreTrainedTokenizerBase, stop: list[str]
) -> frozenset[int]:
    found = set()
    chat = getattr(tokenizer, "chat_template", None)  # its turns end with the tokenizer's own
    for own in (model.config.eos_token_id, tokenizer.eos_token_id if chat else None):
        found.update(own if isinstance(own, list) else [] if own is None else [own])
    for token in stop:
        index = tokenizer.convert_tokens_to_ids(token)
        if index is None or index == tokenizer.unk_token_id:
            raise ConfigError(f"prompt.stop: {token!r} is not a token of this LLM")
        found.add(index)
    return frozenset(found)


def _own_end(tokenizer: PreTrainedTokenizerBase, stop_ids: frozenset[int]) -> int:
    own: int | None = tokenizer.eos_token_id
    return min(stop_ids, default=0) if own is None else own
