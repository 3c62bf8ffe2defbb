"""Packs an LLM for ONNX Runtime once, and finds it again in the cache."""

from collections.abc import Iterable
from pathlib import Path

import transformers
from filelock import FileLock
from rich.console import Console
from rich.progress import track

from assistant.config import LlmConfig
from assistant.errors import ComponentError
from assistant.files.gguf_file import GgufFile
from assistant.llm.weights.packed_store import is_whole, store
from assistant.llm.weights.read import (
    FolderTensors,
    GgufTensors,
    ReadWeights,
    folder_config,
    gguf_config,
)
from assistant.parts.components import GgufParts, unpinned_digest
from assistant.parts.converted import cache_folder, dequantised

BITS = {"auto": None, "8bit": 8, "4bit": 4}
"""Bits that matrices are rounded to, by `llm.quantisation`; None: those of a GGUF file, else 8."""


def packed_folder(source: Path | GgufParts, config: LlmConfig) -> Path | None:
    """The folder with the packed weights of `source`, which is made if it is missing or damaged.
    None if ONNX Runtime cannot run them: the architecture is another one, or there are adapters.

    Raises:
        ComponentError: the weights cannot be read, or the cache cannot be written.
    """
    if config.lora is not None or config.engine != "auto" or config.quantisation not in BITS:
        return None
    bits = BITS[config.quantisation]
    if isinstance(source, GgufParts):
        return _of_gguf(source, bits)
    return _of_folder(source, bits)


def as_folder(source: Path | GgufParts) -> Path:
    """A folder that transformers loads; a GGUF file is converted once.

    Raises:
        ComponentError: the file is in parts, which transformers cannot read.
    """
    if not isinstance(source, GgufParts):
        return source
    if len(source.paths) > 1:
        raise ComponentError(
            f"llm: {source.paths[0]}: a GGUF file in parts runs as it is: llm.lora null, "
            "llm.engine auto, llm.quantisation auto, 8bit or 4bit, on a CPU"
        )
    return dequantised(source.paths[0], source.digest)


def _of_gguf(source: GgufParts, bits: int | None) -> Path | None:
    folder = _folder(source.digest, bits)
    if is_whole(folder):
        return folder
    file = GgufFile(list(source.paths))
    if file.architecture != "qwen2":
        if len(source.paths) > 1:
            raise ComponentError(
                f"llm: {source.paths[0]}: a GGUF file in parts has to be a qwen2; this is a "
                f"{file.architecture}"
            )
        return _of_folder(as_folder(source), bits)
    weights = ReadWeights(GgufTensors(file, bits), gguf_config(file))
    return _stored(folder, weights, file.tokenizer())


def _of_folder(source: Path, bits: int | None) -> Path | None:
    config = folder_config(source)
    if config is None:
        return None
    folder = _folder(unpinned_digest(sorted(source.glob("*.safetensors"))), bits)
    if is_whole(folder):
        return folder
    weights = ReadWeights(FolderTensors(source, bits or 8), config)
    return _stored(folder, weights, transformers.AutoTokenizer.from_pretrained(source))


def _folder(digest: str, bits: int | None) -> Path:
    return cache_folder() / f"packed-{digest[:16]}-{bits or 'own'}"


def _stored(
    folder: Path, weights: ReadWeights, tokenizer: transformers.PreTrainedTokenizerBase
) -> Path:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not is_whole(folder):  # another start may have made it just now
                store(folder, weights, tokenizer, _shown)
    except OSError as error:
        raise ComponentError(
            f"{folder}: {error.strerror or error}; set SALMONN_LIVE_CACHE to a folder that can be "
            "written and has room"
        ) from error
    return folder


def _shown(names: list[str]) -> Iterable[str]:
    """Progress on stderr: a bar if it is a terminal, one line otherwise."""
    return track(names, "Packing the LLM's weights (once)", console=Console(stderr=True))
