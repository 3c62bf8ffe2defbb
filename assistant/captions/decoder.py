"""Whisper's decoder on features that the ear has computed already: what is being said, as text.

The decoder was trained on 1,500 positions and falls into loops when it sees fewer. So every
position that has not been heard holds the features of silence.
"""

from collections import deque
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor
from whisper.tokenizer import Tokenizer, get_tokenizer

from assistant.encoders.whisper import State, WhisperWeights

MULTILINGUAL_VOCABULARY = 51_865
"""Tokens of a multilingual Whisper up to version 2; English-only ones have one less."""

TOKENS_PER_SECOND = 8.0
"""More than anyone says; a transcript that would be longer is a loop and is cut there."""

SPARE_TOKENS = 8
"""Allowed beyond that, so that a short clip can hold a word."""

SURE = -1.0
"""Least mean log probability of a transcript that is believed (Whisper's own threshold)."""

NO_SPEECH = 0.6
"""Above this probability that nobody speaks, an unsure transcript is dropped (Whisper's own)."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the decoder reads."""

    tokens: tuple[int, ...]
    """Whisper's text tokens, without specials."""

    log_probability: float
    """Mean per token, the end included."""

    no_speech: float
    """Probability that nobody speaks."""


LEAST_LOOP = 4
"""Tokens of a phrase that counts as a loop when it is repeated; people do say "no, no, no"."""


def believable(found: Transcript) -> bool:
    """Whether it is speech: Whisper's own rule against text invented on noise and silence, and no
    single token where it is likely that nobody speaks: the "you" that Whisper reads in silence.
    """
    if found.no_speech <= NO_SPEECH:
        return True
    return found.log_probability >= SURE and len(found.tokens) > 1


def unlooped(tokens: tuple[int, ...]) -> tuple[int, ...]:
    """Tokens without the loop that a reading may end in: of a phrase of four or more that is said
    two and a half times over, up to the last token, the first time is kept."""
    for start in range(len(tokens)):
        rest = tokens[start:]
        for period in range(LEAST_LOOP, 2 * len(rest) // 5 + 1):
            if rest[period:] == rest[:-period]:
                return tokens[: start + period]
    return tokens


@dataclass(slots=True)
class Slots:
    """Cross-attention keys and values of every position, (layers, heads, positions, head width)."""

    keys: Tensor
    values: Tensor


@dataclass(frozen=True, slots=True)
class _Attention:
    """(query, key, value, out), weight and bias each; the key has no bias."""

    query: tuple[Tensor, Tensor]
    key: Tensor
    value: tuple[Tensor, Tensor]
    out: tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class _Layer:
    self_norm: tuple[Tensor, Tensor]
    self_attention: _Attention
    cross_norm: tuple[Tensor, Tensor]
    cross_attention: _Attention
    mlp_norm: tuple[Tensor, Tensor]
    up: tuple[Tensor, Tensor]
    down: tuple[Tensor, Tensor]


class CaptionDecoder:
    """Whisper's decoder, shared weights; `Slots` are an utterance's own."""

    def __init__(
        self, weights: WhisperWeights, silence: Tensor, dtype: torch.dtype = torch.float32
    ) -> None:
        """Args:
        weights: with keys `decoder.*`.
        silence: features of silence at every position, shape (positions, width).
        dtype: of the matrix products.

        Raises:
            ValueError: there is no decoder among the weights.
        """
        if not weights.has_decoder:
            raise ValueError("these Whisper weights have no decoder")
        self._heads = weights.dims.n_text_head
        self._context = weights.dims.n_text_ctx
        self.width = silence.shape[1]
        """Of the features it reads."""

        self.positions = len(silence)
        """Features that it reads at once."""

        self._dtype = dtype
        state = {k: v.to(dtype) for k, v in weights.state.items() if k.startswith("decoder.")}
        self._embedding = state["decoder.token_embedding.weight"]
        self._positions = state["decoder.positional_embedding"]
        self._norm = _pair(state, "decoder.ln")
        self._layers = [
            _layer(state, f"decoder.blocks.{i}.") for i in range(weights.dims.n_text_layer)
        ]
        self._tokenizer = _tokenizer(weights)
        self._silent = self._project(silence)

    @cached_property
    def _suppressed(self) -> Tensor:
        """Tokens that are no words: specials, times, and marks such as brackets and notes."""
        tokenizer = self._tokenizer
        vocabulary = len(self._embedding)
        special = [*range(tokenizer.eot + 1, vocabulary), *tokenizer.non_speech_tokens]
        return torch.tensor(sorted(set(special)))

    def start(self) -> Slots:
        """An utterance of which nothing was heard yet."""
        return Slots(self._silent.keys.clone(), self._silent.values.clone())

    def hear(self, slots: Slots, features: Tensor, at: int) -> None:
        """Put features (n, width) at positions [at, at + n); those beyond the last are dropped."""
        room = slots.keys.shape[2] - at
        new = self._project(features[: max(0, room)])
        end = at + new.keys.shape[2]
        slots.keys[:, :, at:end], slots.values[:, :, at:end] = new.keys, new.values

    @torch.inference_mode()
    def read(
        self,
        slots: Slots,
        seconds: float,
        prefix: tuple[int, ...] = (),
        guess: tuple[int, ...] = (),
    ) -> Transcript:
        """The likeliest text, greedily, after `prefix`.

        Args:
            slots: what was heard.
            seconds: how long; it bounds the transcript.
            prefix: text tokens that are settled already.
            guess: text tokens that may follow it, such as those of the last reading. As far as they
                are right they are read in one pass (speculative decoding, Leviathan et al. 2023,
                arXiv 2211.17192); the text is the same without.
        """
        tokenizer = self._tokenizer
        start = list(tokenizer.sot_sequence_including_notimestamps)
        most = min(int(seconds * TOKENS_PER_SECOND) + SPARE_TOKENS, self._context // 2)
        past: list[tuple[Tensor, Tensor]] = []
        logits = self._logits([*start, *prefix, *guess], slots, past)
        no_speech = float(logits[0].softmax(-1)[tokenizer.no_speech])
        tokens, total = list(prefix), 0.0
        held = len(start) + len(prefix)
        rows = deque(logits[held - 1 :])
        while True:
            row = rows.popleft()
            row[self._suppressed] = -torch.inf
            if not tokens:
                row[[*tokenizer.encode(" "), tokenizer.eot]] = -torch.inf
            chances = row.log_softmax(-1)
            best = int(chances.argmax())
            total += float(chances[best])
            if best == tokenizer.eot or len(tokens) >= most:
                count = len(tokens) - len(prefix) + 1
                return Transcript(tuple(tokens), total / count, no_speech)
            right = len(tokens) - len(prefix)  # tokens of the guess so far
            tokens.append(best)
            if not rows or best != guess[right]:
                held = len(start) + len(tokens) - 1
                past = [(keys[:, :held], values[:, :held]) for keys, values in past]
                rows = deque(self._logits([best], slots, past))

    def text(self, tokens: tuple[int, ...]) -> str:
        """Tokens as text, as Whisper writes it."""
        return str(self._tokenizer.decode(list(tokens)))

    def _logits(self, tokens: list[int], slots: Slots, past: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Logits (len(tokens), vocabulary) in fp32; `past` grows."""
        held = past[0][0].shape[1] if past else 0
        x = self._embedding[torch.tensor(tokens)] + self._positions[held : held + len(tokens)]
        for i, layer in enumerate(self._layers):
            normed = _normed(x, layer.self_norm)
            attention = layer.self_attention
            keys = self._split(F.linear(normed, attention.key))
            values = self._split(F.linear(normed, *attention.value))
            if i < len(past):
                keys, values = (torch.cat(p, 1) for p in zip(past[i], (keys, values), strict=True))
                past[i] = keys, values
            else:
                past.append((keys, values))
            x = x + self._attend(normed, attention, keys, values, causal=len(tokens) > 1)
            normed = _normed(x, layer.cross_norm)
            cross = layer.cross_attention
            x = x + self._attend(normed, cross, slots.keys[i], slots.values[i], causal=False)
            up = F.gelu(F.linear(_normed(x, layer.mlp_norm), *layer.up))
            x = x + F.linear(up, *layer.down)
        return F.linear(_normed(x, self._norm), self._embedding).float()

    def _attend(
        self, x: Tensor, attention: _Attention, keys: Tensor, values: Tensor, causal: bool
    ) -> Tensor:
        queries = self._split(F.linear(x, *attention.query))
        mixed = F.scaled_dot_product_attention(
            queries[None], keys[None], values[None], is_causal=causal
        )[0]
        return F.linear(mixed.transpose(0, 1).flatten(1), *attention.out)

    def _split(self, x: Tensor) -> Tensor:
        """(n, width) -> (heads, n, head width)."""
        return x.view(len(x), self._heads, x.shape[1] // self._heads).transpose(0, 1)

    @torch.inference_mode()
    def _project(self, features: Tensor) -> Slots:
        features = features.to(self._dtype)
        crosses = [layer.cross_attention for layer in self._layers]
        keys = [self._split(F.linear(features, c.key)) for c in crosses]
        values = [self._split(F.linear(features, *c.value)) for c in crosses]
        return Slots(torch.stack(keys), torch.stack(values))


def _normed(x: Tensor, norm: tuple[Tensor, Tensor]) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], *norm)


def _pair(state: State, name: str) -> tuple[Tensor, Tensor]:
    return state[f"{name}.weight"], state[f"{name}.bias"]


def _attention(state: State, name: str) -> _Attention:
    return _Attention(
        _pair(state, f"{name}.query"),
        state[f"{name}.key.weight"],
        _pair(state, f"{name}.value"),
        _pair(state, f"{name}.out"),
    )


def _layer(state: State, name: str) -> _Layer:
    return _Layer(
        _pair(state, f"{name}attn_ln"),
        _attention(state, f"{name}attn"),
        _pair(state, f"{name}cross_attn_ln"),
        _attention(state, f"{name}cross_attn"),
        _pair(state, f"{name}mlp_ln"),
        _pair(state, f"{name}mlp.0"),
        _pair(state, f"{name}mlp.2"),
    )


def _tokenizer(weights: WhisperWeights) -> Tokenizer:
    multilingual = weights.dims.n_vocab >= MULTILINGUAL_VOCABULARY
    languages = weights.dims.n_vocab - 51_765 - int(multilingual)
    language = "en" if multilingual else None
    return get_tokenizer(
        multilingual, num_languages=languages, language=language, task="transcribe"
    )
