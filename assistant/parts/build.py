"""From a preset to modules: finds components, makes the aligner, and loads the LLM."""

import logging

import torch

from assistant.captions.decoder import CaptionDecoder
from assistant.config import ModelConfig
from assistant.ear.aligner import Aligner, NoAligner
from assistant.ear.ear import Ear
from assistant.ear.tagger import Tagger
from assistant.end_of_turn import EndOfTurn, load_end_of_turn
from assistant.errors import ComponentError, ConfigError
from assistant.llm.adapters import add_lora
from assistant.llm.llm import Llm
from assistant.llm.loading import load_base
from assistant.llm.packed_llm import load_packed
from assistant.llm.router import Router, load_router
from assistant.numerics.half import fast_half
from assistant.parts import components
from assistant.parts.pack import as_folder, packed_folder
from assistant.parts.tiny import (
    toy_beats,
    toy_decoder,
    toy_end_of_turn,
    toy_llm,
    toy_router,
    toy_seed,
    toy_tagger,
    toy_whisper,
)

LOG = logging.getLogger("salmonn_live.parts")


def build_ear(config: ModelConfig, llm_width: int = 1) -> Ear:
    """The ear of `config` with a freshly initialised aligner.

    Args:
        config: the preset.
        llm_width: size of the LLM's embeddings; 1 if only features are needed.

    Raises:
        ComponentError: a part is not available.
    """
    sources = config.speech_encoder.weights
    seed = toy_seed(sources)
    hidden = tuple(config.speech_encoder.hidden_layers)
    if seed is not None:
        speech = toy_whisper(seed, hidden)
    else:
        speech = components.find_whisper(sources).encoder(hidden)
    audio = None
    if config.audio_encoder is not None:
        sources = config.audio_encoder.weights
        seed = toy_seed(sources)
        audio = toy_beats(seed) if seed is not None else components.find_beats(sources)
    aligner: Aligner | NoAligner
    if config.reads == "words":
        aligner = NoAligner(config.aligner, llm_width)
    else:
        torch.manual_seed(0)
        width = None if audio is None else audio.width
        aligner = Aligner(config.aligner, speech.width, width, llm_width)
    return Ear(speech, audio, aligner, config.encoding).eval()


def build_captions(config: ModelConfig, ear: Ear) -> CaptionDecoder:
    """Whisper's decoder for `ear`'s features.

    Raises:
        ComponentError: the weights have no decoder.
    """
    sources = config.speech_encoder.weights
    seed = toy_seed(sources)
    weights = components.find_whisper(sources) if seed is None else toy_decoder(seed)
    if not weights.has_decoder:
        raise ComponentError(f"captions: {sources[0]} has no decoder weights")
    half = config.encoding.dtype == "bfloat16" and device_of(config) == "cpu" and fast_half()
    dtype = torch.bfloat16 if half else torch.float32
    return CaptionDecoder(weights, ear.silence(), dtype)


def build_tagger(config: ModelConfig, ear: Ear) -> Tagger | None:
    """The preset's sound tagger, if it has one.

    Raises:
        ComponentError: it is not available, or was made for other encoders.
    """
    if config.sound_tagger is None:
        return None
    sources = config.sound_tagger.weights
    seed = toy_seed(sources)
    tagger: Tagger
    if seed is not None:
        tagger = toy_tagger(seed, ear.feature_width)
    else:
        tagger = components.find_tagger(sources)
    if tagger.reach != ear.feature_width:
        raise ComponentError(f"sound_tagger: {sources[0]} was made for other encoders")
    return tagger.to(device_of(config))


def build_router(config: ModelConfig, llm: Llm) -> Router | None:
    """What tells whether tools of our own are needed; None: nothing can with this LLM and engine.

    Raises:
        ComponentError: it is not available, or its file holds something else.
    """
    if config.tool_router is None:
        return None
    sources = config.tool_router.weights
    seed = toy_seed(sources)
    if seed is not None:
        return toy_router(seed, llm.width)
    router = load_router(components.find_file("tool router", sources), llm)
    if router is None:
        LOG.warning("tool_router: not for this LLM and engine; it reads of tools in every turn")
    return router


def build_end_of_turn(config: ModelConfig, ear: Ear) -> EndOfTurn | None:
    """What judges ends of turns in this preset, if anything does.

    Raises:
        ComponentError: it is not available, or was made for another encoder, or for a preset that
            reads what is said where this one does not, or the other way round.
    """
    if config.end_of_turn is None:
        return None
    sources, width = config.end_of_turn.weights, ear.speech_encoder.own_width
    reads = config.reads == "words" or config.aligner.transcript
    seed = toy_seed(sources)
    if seed is not None:
        return toy_end_of_turn(seed, width, reads=reads)
    judge = load_end_of_turn(components.find_file("end of turn", sources))
    if (judge.width, judge.reads) != (width, reads):
        raise ComponentError(f"end_of_turn: {sources[0]} was made for another preset")
    return judge


def build_aligner(config: ModelConfig, ear: Ear, llm_width: int) -> Aligner:
    """A freshly initialised aligner from `ear`'s encoders to an LLM."""
    torch.manual_seed(0)
    audio = None if ear.audio_encoder is None else ear.audio_encoder.width
    return Aligner(config.aligner, ear.speech_encoder.width, audio, llm_width)


def _last_gpu() -> str:
    return f"cuda:{torch.cuda.device_count() - 1}"


def device_of(config: ModelConfig) -> str:
    """The device to run on: `config.device`, or the one that `auto` stands for.

    Raises:
        ConfigError: there is no such device.
    """
    if config.device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device: {config.device} asked for, but PyTorch finds no GPU here")
    _, _, number = config.device.partition(":")
    if number and int(number) >= torch.cuda.device_count():
        raise ConfigError(f"device: {config.device}: the last GPU here is {_last_gpu()}")
    if config.device != "auto":
        return config.device
    return "cuda" if torch.cuda.is_available() else "cpu"


def build_llm(config: ModelConfig, train: bool = False) -> Llm:
    """The LLM of `config`.

    Args:
        config: the preset.
        train: add fresh LoRA adapters to the frozen weights.

    Raises:
        ComponentError: the LLM is not available.
        ConfigError: the settings of the LLM do not work on this machine.
    """
    seed = toy_seed(config.llm.weights)
    if seed is not None:
        model, tokenizer = toy_llm(seed)
        model.requires_grad_(False)
    else:
        source = components.find_llm(config.llm.weights)
        if device_of(config) == "cpu" and (folder := packed_folder(source, config.llm)):
            if config.generation.beams > 1:
                raise ConfigError("generation.beams: packed weights answer without beam search")
            packed, tokenizer = load_packed(folder, torch.get_num_threads())
            return Llm(packed, tokenizer, config.prompt.stop)
        model, tokenizer = load_base(as_folder(source), config.llm, device_of(config))
    if train and config.llm.lora is not None:
        torch.manual_seed(1)
        return Llm(add_lora(model, config.llm.lora), tokenizer, config.prompt.stop)
    return Llm(model, tokenizer, config.prompt.stop)
