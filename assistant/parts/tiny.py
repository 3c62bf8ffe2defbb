"""Toy parts: the real classes with a few thousand parameters and random weights from a seed.

For tests, and for looking around without downloads. The answers of a toy mean nothing.
"""

import re

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from whisper.model import ModelDimensions, Whisper

from assistant.ear.tagger import SoundTagger
from assistant.encoders.beats import Beats, BeatsConfig
from assistant.encoders.whisper import SpeechEncoder, WhisperWeights
from assistant.end_of_turn import MARKS, EndOfTurn
from assistant.errors import ConfigError
from assistant.llm.router import Router

SEED_DIGITS = 9
TOY_WIDTH = 32
TOY_LLM_WIDTH = 48


def toy_seed(sources: list[str]) -> int | None:
    """The seed, if the only source is `toy:SEED`; None for sources of real parts.

    Raises:
        ConfigError: the seed has more than nine digits.
    """
    match = re.fullmatch(r"toy:(\d+)", sources[0]) if len(sources) == 1 else None
    if match and len(match[1]) > SEED_DIGITS:
        raise ConfigError(f"weights: {sources[0]:.20}...: a seed has {SEED_DIGITS} digits at most")
    return int(match[1]) if match else None


def toy_whisper(seed: int, hidden: tuple[int, ...] = ()) -> SpeechEncoder:
    """A two-layer Whisper encoder, 32 wide."""
    torch.manual_seed(seed)
    dims = ModelDimensions(80, 1500, TOY_WIDTH, 4, 2, 64, 16, TOY_WIDTH, 4, 2)
    return SpeechEncoder(dims, hidden=hidden).eval().requires_grad_(False)


def toy_decoder(seed: int) -> WhisperWeights:
    """A Whisper of the size of `toy_whisper` with a decoder; its text means nothing."""
    torch.manual_seed(seed)
    dims = ModelDimensions(80, 1500, TOY_WIDTH, 4, 2, 51_865, 448, TOY_WIDTH, 4, 2)
    model = Whisper(dims)
    for parameter in model.decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return WhisperWeights(dims, model.state_dict())


def toy_beats(seed: int) -> Beats:
    """A two-layer BEATs, 32 wide, with every part of the published one."""
    torch.manual_seed(seed)
    config = BeatsConfig(
        encoder_layers=2,
        encoder_embed_dim=TOY_WIDTH,
        encoder_ffn_embed_dim=64,
        encoder_attention_heads=4,
        embed_dim=16,
        max_distance=800,
        relative_position_embedding=True,
        gru_rel_pos=True,
        deep_norm=True,
    )
    return Beats(config).eval().requires_grad_(False)


def toy_router(seed: int, width: int) -> Router:
    """A router that calls for tools in about every second turn."""
    torch.manual_seed(seed)
    return Router(torch.randn(width), 0.0)


def toy_tagger(seed: int, width: int) -> SoundTagger:
    """A tagger of three classes of sound."""
    torch.manual_seed(seed)
    tagger = SoundTagger(["hum", "hiss", "knock"], width)
    tagger.head.weight.data *= 20  # far from undecided
    return tagger.eval().requires_grad_(False)


def toy_end_of_turn(seed: int, width: int, *, reads: bool) -> EndOfTurn:
    """A judgement of ends of turns with random weights; `reads`: a mark is among the signs."""
    random = torch.Generator().manual_seed(seed)
    return EndOfTurn(torch.randn(width + MARKS * reads, generator=random), 0.0, reads=reads)


def toy_llm(seed: int) -> "tuple[transformers.LlamaForCausalLM, PreTrainedTokenizerFast]":
    """A two-layer Llama, 48 wide, and a tokenizer of bytes."""
    torch.manual_seed(seed)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {t: i for i, t in enumerate(["<s>", "</s>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    config = transformers.LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=TOY_LLM_WIDTH,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        bos_token_id=0,
        eos_token_id=1,
        initializer_range=0.3,  # wide enough that toy answers are not all alike
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    return transformers.LlamaForCausalLM(config).eval(), fast
