"""The language model: any causal LM that transformers loads, LoRA, and an explicit KV cache.

`Llm` has the shared weights. `LlmCache` is the state of one conversation: text and audio tokens are
both embeddings, and are prefilled with `extend` as soon as they are known.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    """A causal LM with its tokenizer, and LoRA adapters that are merged or beside the weights."""

    def __init__(
        self,
        model: "PreTrainedModel | peft.PeftModel | PackedLlm",
        tokenizer: PreTrainedTokenizerBase,
        stop: list[str],
        engine: Engine | None = None,
    ) -> None:
        """Args:
        model: frozen weights; packed ones cannot be trained.
        tokenizer: of the model.
        stop: tokens that end an answer, besides the model's own end token.
        engine: runs the layers; None: transformers.

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
        """The end token of answers, in the context and in training."""
        self._pieces = Pieces(tokenizer)

    def over(self, model: "PreTrainedModel | peft.PeftModel | PackedLlm", engine: Engine) -> "Llm":
        """An `Llm` with other weights of the same model, such as merged ones.

        It shares the tokenizer, which takes long to read.
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
        """Device of the embeddings."""
        return self._embedding.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the embeddings."""
        return self._embedding.weight.dtype

    @property
    def context(self) -> int | None:
        """Positions that the model was trained for; None if its configuration does not say."""
        found: int | None = getattr(self.model.config, "max_position_embeddings", None)
        return found

    def room(self, needed: int) -> int:
        """Positions of the context that are left after `needed` ones; a large number if the model
        has no limit.

        Raises:
            ContextFullError: none is left.
        """
        limit = self.context if self.context is not None else 2**31
        if needed >= limit:
            raise ContextFullError(
                f"{needed} positions are needed and one for an answer; "
                f"the LLM's context holds {limit}"
            )
        return limit - needed

    def ids(self, text: str) -> list[int]:
        """Token ids of a piece of the prompt, without tokens added before or after it."""
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def embed(self, ids: list[int]) -> Tensor:
        """Embeddings (n, width) of token ids."""
        with torch.inference_mode():
            index = torch.tensor(ids, dtype=torch.long, device=self.device)
            embeds: Tensor = self._embedding(index)
        return embeds

    def take(self, tokens: Tensor) -> Tensor:
        """Move audio tokens to this LLM's device and number format."""
        return tokens.to(self.device, self.dtype)

    def cache(self) -> "LlmCache":
        """A KV cache for a new conversation."""
        return LlmCache(self)

    def begun(self, ids: list[int], at_once: int) -> "LlmCache":
        """A KV cache that holds `ids`. Packed LLMs keep the last one on disk for later starts.

        Args:
            ids: token ids, one or more.
            at_once: how many are prefilled in one pass.
        """
        cache = self.cache()
        if isinstance(self.model, PackedLlm):
            cache._state, cache._last = self.model.begun(ids, at_once)
            return cache
        for piece in self.embed(ids).split(at_once):
            cache.extend(piece)
        return cache

    def detokenizer(self) -> Detokenizer:
        """A detokenizer for a new answer."""
        return Detokenizer(self._pieces)

    @torch.inference_mode()
    def beam_search(self, embeds: Tensor, config: GenerationConfig) -> list[int]:
        """Token ids of the best of `config.beams` beams after `embeds` (n, width), without stop
        tokens.

        With `config.sample` the beams are drawn at random (beam sampling, as in SALMONN's first
        code).

        Raises:
            ContextFullError: `embeds` are longer than the context.
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


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a KV cache to come back to."""

    length: int
    """Positions before it."""

    last: Tensor
    """What the engine makes logits of, after the last of them."""

    logits: Tensor
    """(vocabulary,)."""


class LlmCache:
    """The KV cache of one conversation, with the logits after its last position."""

    def __init__(self, llm: Llm) -> None:
        self._llm = llm
        self._state = llm.engine.start()
        self._last: Tensor | None = None  # what the engine makes logits of
        self._logits: Tensor | None = None  # after the last position, once they were asked for
        self._seen: list[int] = []  # tokens chosen here, for the repetition penalty
        self._unfed: list[int] = []  # the last ones: fed only when something follows them

    @property
    def length(self) -> int:
        """Number of positions held, including the tokens that were appended last."""
        return self._llm.engine.length(self._state) + len(self._unfed)

    def extend(self, embeds: Tensor) -> None:
        """Prefill embeddings (n, width), n >= 0.

        Raises:
            ContextFullError: the context has no room for them.
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

    @property
    def is_read(self) -> bool:
        """Whether the last position was computed: `truncate` forgets what comes after it."""
        return self._last is not None

    @property
    def last(self) -> Tensor:
        """What the last layer holds of the last position, (LLM width,), where the engine tells it
        (`Engine.tells_last`); `extend` has to come first."""
        assert self._last is not None, "last needs extend() first"
        return self._last

    @torch.inference_mode()
    def logits(self) -> Tensor:
        """Logits after the last position, (vocabulary,), fp32.

        Raises:
            RuntimeError: `extend` has to come first.
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
            config: whether to sample, and how.
            random: random numbers for sampling.
            mask: bool (vocabulary,), which tokens may be chosen; None: all.

        Returns:
            A token id; a stop token is returned but not appended.

        Raises:
            RuntimeError: `extend` has to come first.
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

    def force(self, tokens: Sequence[int]) -> None:
        """Append tokens that come next whatever the logits say; what follows them is computed in
        one pass with them."""
        self._seen += tokens
        self._unfed += tokens

    def share(self, mask: Tensor) -> float:
        """The probability that the tokens of a mask, bool (vocabulary,), have together; nothing is
        appended.

        Raises:
            RuntimeError: `extend` has to come first.
        """
        if self._unfed:
            self.extend(self._llm.embed([]))
        chances = self.logits().softmax(-1)
        return float(chances[mask.to(chances.device)].sum())

    def tokens(self, config: GenerationConfig) -> Iterator[int]:
        """The tokens of an answer, until a stop token, `max_new_tokens` or the end of the
        context."""
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
        """Drop all positions from `length` on, and forget which tokens were used.

        Unless only tokens that were appended last are dropped, `extend` has to follow before
        `next_token`.

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
            self._unfed, self._seen = self._unfed[: max(0, length - held)], []

    def mark(self) -> Mark:
        """What `back` needs to come back to where the cache is now.

        Raises:
            RuntimeError: `extend` has to come first.
        """
        if self._unfed:
            self.extend(self._llm.embed([]))
        logits = self.logits()
        return Mark(self.length, self.last, logits)

    def back(self, mark: Mark) -> None:
        """Drop all positions after a mark: what comes next is what came next then. Nothing before
        it was dropped meanwhile."""
        self.truncate(mark.length)
        self._last, self._logits = mark.last, mark.logits

    def fork(self) -> "LlmCache":
        """An independent copy."""
        twin = LlmCache(self._llm)
        twin._state = self._llm.engine.fork(self._state)
        twin._last, twin._logits = self._last, self._logits
        twin._seen = list(self._seen)
        twin._unfed = list(self._unfed)
        return twin


def _penalise(logits: Tensor, seen: list[int], penalty: float) -> Tensor:
    """Penalise repetition (CTRL, Keskar et al. 2019, section 4.1): divide positive logits of the
    tokens in `seen`, and multiply negative ones."""
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
