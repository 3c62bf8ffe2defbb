"""Loads an LLM that transformers knows, and chooses the engine that runs it on this machine."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import transformers
from transformers import PreTrainedTokenizerBase

from assistant.config import LlmConfig
from assistant.errors import ComponentError, ConfigError
from assistant.files.weights import UNREADABLE
from assistant.llm.engines.engine import Engine, LeanEngine, TransformersEngine, lean_enough
from assistant.llm.engines.onnx_engine import OnnxEngine
from assistant.llm.packed_llm import PackedLlm
from assistant.llm.weights.read import ReadWeights, StateTensors
from assistant.numerics.half import fast_half

if TYPE_CHECKING:  # importing it takes seconds, and a packed LLM needs none of it
    from transformers import PreTrainedModel

HEAD_MULTIPLE = 8
"""In ONNX Runtime the width of an attention head has to be a multiple of this."""

LARGEST_GRAPH = 1_800_000_000
"""Most parameters of a model in 8 bits on a CPU; larger ones were not tried."""


def load_base(
    source: Path | str, config: LlmConfig, device: str
) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """Load frozen weights and their tokenizer from a folder or hub name.

    Raises:
        ConfigError: the quantisation or placement does not work on this machine.
        ComponentError: transformers cannot load it.
    """
    transformers.utils.logging.disable_progress_bar()  # a second's work; stderr is for errors
    dtype = _dtype(config, device)
    options = _placement(config, device, dtype)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(source)
        model = transformers.AutoModelForCausalLM.from_pretrained(source, dtype=dtype, **options)
    except (*UNREADABLE, ImportError) as error:
        raise ComponentError(f"llm: {source} does not load: {error}") from error
    if "device_map" not in options:
        model = model.to(device)
    return model.eval().requires_grad_(False), tokenizer


def choose_engine(model: "PreTrainedModel | PackedLlm", config: LlmConfig) -> Engine:
    """The engine for `config.engine`, where `auto` takes ONNX Runtime or the lean engine if they
    can run the model, else transformers. A packed model brings its own.

    Raises:
        ConfigError: the lean engine or 8 bits are asked for, and cannot run this model.
    """
    if isinstance(model, PackedLlm):
        return model.engine
    if config.engine == "transformers" or (config.engine == "auto" and not lean_enough(model)):
        if config.quantisation == "8bit" and model.device.type == "cpu":
            raise ConfigError("llm.quantisation: 8bit on a CPU is for plain Llamas, run lean")
        return TransformersEngine(model)
    if not lean_enough(model):
        raise ConfigError("llm.engine: lean runs plain Llamas on a CPU; this is another LLM")
    half = config.dtype == "bfloat16" and fast_half()
    fits = model.config.head_dim % HEAD_MULTIPLE == 0 and model.num_parameters() <= LARGEST_GRAPH
    if config.quantisation == "8bit" and not fits:
        raise ConfigError(
            f"llm.quantisation: 8bit on a CPU needs heads of a multiple of {HEAD_MULTIPLE} "
            f"numbers and at most {LARGEST_GRAPH:,} parameters"
        )
    if fits and config.quantisation in ("8bit", "auto"):
        weights = ReadWeights(StateTensors(model), model.config)
        return OnnxEngine(weights, torch.get_num_threads())
    return LeanEngine(model, torch.bfloat16 if half else torch.float32)


def loads_quantised(config: LlmConfig, device: str) -> bool:
    """Whether bitsandbytes quantises the weights while they are loaded."""
    on_gpu = device.startswith("cuda")
    return config.quantisation == "4bit" or (config.quantisation == "8bit" and on_gpu)


def _dtype(config: LlmConfig, device: str) -> torch.dtype:
    if device == "cpu":
        return torch.float32  # half precision is the lean engine's business there
    return {
        "float32": torch.float32,
        "bfloat16": torch.bfloat16,
        "float16": torch.float16,
    }[config.dtype]


def _placement(config: LlmConfig, device: str, dtype: torch.dtype) -> dict[str, object]:
    options: dict[str, object] = {}
    if loads_quantised(config, device):
        if importlib.util.find_spec("bitsandbytes") is None:
            raise ConfigError(
                f"llm.quantisation: {config.quantisation} needs bitsandbytes "
                "(pip install bitsandbytes)"
            )
        if not device.startswith("cuda"):
            raise ConfigError(f"llm.quantisation: {config.quantisation} needs a GPU, not {device}")
        bits: dict[str, object] = {"load_in_8bit": True}
        if config.quantisation == "4bit":
            bits = {"load_in_4bit": True, "bnb_4bit_compute_dtype": dtype}
        options["quantization_config"] = transformers.BitsAndBytesConfig(**bits)
        options["device_map"] = {"": device}
    if config.placement == "auto":
        if importlib.util.find_spec("accelerate") is None:
            raise ConfigError("llm.placement: auto needs accelerate (pip install accelerate)")
        options["device_map"] = "auto"
    return options
