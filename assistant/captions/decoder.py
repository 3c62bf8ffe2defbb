"""Whisper's decoder, which makes a transcript of features that the ear has computed already.

The decoder was trained on 1,500 positions and tends to loop when it sees fewer. So all positions
that have not been heard hold the features of silence.
"""

from collections import deque
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

import torch
import torch.nn.functional as F
from torch import Tensor
from whisper.tokenizer import Tokenizer, get_tokenizer

from assistant.encoders.whisper import State, WhisperWeights

MULTILINGUAL_VOCABULARY = 51_865
"""Tokens of a multilingual Whisper up to version 2; English-only ones have one less."""

TOKENS_PER_SECOND = 8.0
"""Most tokens of a transcript per second, more than anyone says: a longer one is a loop, and is
cut."""

SPARE_TOKENS = 8
"""Tokens allowed in addition, so that there is room for a word in a short clip."""

SURE = -1.0
"""Whisper's own threshold of the mean log probability, below which a transcript is unsure."""

NO_SPEECH = 0.6
"""Whisper's own threshold of the probability that nobody speaks, above which an unsure transcript
is dropped."""


CLEAR = -0.48
"""Mean log probability of what is clear: "stop", "wait" and "thanks" had more, with the ears of
`small` and `nano`; what they read in 60 to 70 coughs, sneezes and laughs had less, but for "ha"."""

CLOSING = (".", "?", "!")
"""Marks that end a sentence."""

GOING_ON = (",", "...", "-", " ...")
"""Marks after which a sentence goes on."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What the decoder expects after the last word, as probabilities; what is missing to 1 is that
    of another word."""

    closed: float = 0.0
    """A mark that ends a sentence."""

    open: float = 0.0
    """A mark after which it goes on."""

    bare: float = 0.0
    """The end, without any mark."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """A transcript, and how sure the decoder is of it."""

    tokens: tuple[int, ...]
    """Whisper's text tokens, without special ones."""

    log_probability: float
    """Mean log probability of the tokens, including the end token."""

    no_speech: float
    """Probability that nobody speaks."""

    ending: Ending = Ending()
    """How the last word is followed."""


LEAST_LOOP = 4
"""Length of the shortest phrase, in tokens, whose repetition is a loop; people do say "no, no,
no"."""


def believable(found: Transcript) -> bool:
    """Whether a transcript is one of speech. This is Whisper's own rule against text invented on
    noise and silence; besides, a single token is not believed where probably nobody speaks, since
    Whisper reads "you" in silence.
    """
    if found.no_speech <= NO_SPEECH:
        return True
    return found.log_probability >= SURE and len(found.tokens) > 1


def clear(found: Transcript) -> bool:
    """Whether a transcript of a word or two is surely one of speech, and not what Whisper reads
    into a cough, a sneeze or a laugh."""
    return found.log_probability >= CLEAR


def unlooped(tokens: tuple[int, ...]) -> tuple[int, ...]:
    """Tokens without the loop that a transcript may end in: if it ends with a phrase of four tokens
    or more, two and a half times or more in a row, only the first of them is kept."""
    for start in range(len(tokens)):
        rest = tokens[start:]
        for period in range(LEAST_LOOP, 2 * len(rest) // 5 + 1):
            if rest[period:] == rest[:-period]:
                return tokens[: start + period]
    return tokens


@dataclass(slots=True)
class Slots:
    """Keys and values of the cross-attention for all positions of one utterance, (layers, heads,
    positions, head width) each."""

    keys: Tensor
    values: Tensor


@dataclass(frozen=True, slots=True)
class _Attention:
    """Weight and bias of the query, key, value and output projections; the key has no bias."""

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
    """Whisper's decoder. Its weights are shared; each utterance has `Slots` of its own."""

    def __init__(
        self, weights: WhisperWeights, silence: Tensor, dtype: torch.dtype = torch.float32
    ) -> None:
        """Args:
        weights: with keys `decoder.*`.
        silence: features of silence at every position, shape (positions, width).
        dtype: of the matrix products.

        Raises:
            ValueError: the weights include no decoder.
        """
        if not weights.has_decoder:
            raise ValueError("these Whisper weights have no decoder")
        self._heads = weights.dims.n_text_head
        self._context = weights.dims.n_text_ctx
        self.width = silence.shape[1]
        """Size of the features that it reads."""

        self.positions = len(silence)
        """Number of features that it reads at once."""

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
        """Tokens that are not words: special tokens, times, and marks such as brackets and
        notes."""
        tokenizer = self._tokenizer
        vocabulary = len(self._embedding)
        special = [*range(tokenizer.eot + 1, vocabulary), *tokenizer.non_speech_tokens]
        return torch.tensor(sorted(set(special)))

    @cached_property
    def _marks(self) -> tuple[list[int], list[int]]:
        """Tokens of `CLOSING` and of `GOING_ON`, as far as each is one token."""
        encoded = [[self._tokenizer.encode(mark) for mark in kind] for kind in (CLOSING, GOING_ON)]
        closing, going_on = ([ids[0] for ids in kind if len(ids) == 1] for kind in encoded)
        return closing, going_on

    def _ending(self, row: Tensor) -> Ending:
        """What follows a word; `row`: logits after it."""
        chances = row.index_fill(0, self._suppressed, -torch.inf).softmax(-1)
        closing, going_on = (float(chances[ids].sum()) for ids in self._marks)
        return Ending(closing, going_on, float(chances[self._tokenizer.eot]))

    def start(self) -> Slots:
        """Slots for a new utterance, full of silence."""
        return Slots(self._silent.keys.clone(), self._silent.values.clone())

    def hear(self, slots: Slots, features: Tensor, at: int) -> None:
        """Put features (n, width) at positions [at, at + n); features beyond the last position are
        dropped."""
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
        """Decode greedily, continuing `prefix`.

        Args:
            slots: of the utterance.
            seconds: length of the utterance, which limits the number of tokens.
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
        marks = {id_ for kind in self._marks for id_ in kind}
        marked = sum(1 for _ in takewhile(marks.__contains__, reversed(prefix)))
        ending = self._ending(logits[held - 1 - marked]) if marked else None
        while True:
            row = rows.popleft()
            row[self._suppressed] = -torch.inf
            if not tokens:
                row[[*tokenizer.encode(" "), tokenizer.eot]] = -torch.inf
            chances = row.log_softmax(-1)
            best = int(chances.argmax())
            total += float(chances[best])
            if best not in marks and best != tokenizer.eot:
                ending = None  # another word
            elif ending is None:
                ending = self._ending(row)
            if best == tokenizer.eot or len(tokens) >= most:
                count = len(tokens) - len(prefix) + 1
                ending = ending or Ending()
                return Transcript(tuple(tokens), total / count, no_speech, ending)
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
        """Logits (len(tokens), vocabulary) in fp32; keys and values are appended to `past`."""
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
