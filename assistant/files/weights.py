"""Reads tensors from disk without running any code from there, and puts them into modules."""

import hashlib
import json
import pickle
import struct
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from assistant.errors import CheckpointError

SHIPPED = Path(__file__).parents[1] / "weights"
"""The folder of the weights that came with the program."""

UNREADABLE = (
    safetensors.SafetensorError,
    RuntimeError,
    OSError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    struct.error,
)
"""Exceptions that torch's reader raises for bytes that are not a proper pickle."""


def read_state(path: Path) -> dict[str, Any]:
    """Read a `.safetensors`, `.pt`, `.pth` or `.bin` file, or a Hugging Face folder of shards.

    Pickles are read with `weights_only=True`: they can hold tensors and plain values, no code.

    Raises:
        CheckpointError: there is nothing, or nothing that can be read as weights.
    """
    if path.is_dir():
        return _read_folder(path)
    try:
        if path.suffix == ".safetensors":
            return dict(safetensors.torch.load_file(path))
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=_zipped(path))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: refused, it holds more than tensors ({error})") from error
    except UNREADABLE as error:
        raise CheckpointError(f"{path}: not readable as weights ({error})") from error
    if not isinstance(loaded, dict):
        raise CheckpointError(f"{path}: expected a dictionary, found {type(loaded).__name__}")
    return loaded


def _zipped(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"PK"


def _read_folder(path: Path) -> dict[str, Any]:
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (path / name).is_file():
            return read_state(path / name)
        index = path / f"{name}.index.json"
        if index.is_file():
            try:
                shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
            except (ValueError, LookupError) as error:
                raise CheckpointError(f"{index}: not an index of shards ({error})") from error
            return {k: v for shard in shards for k, v in read_state(path / shard).items()}
    raise CheckpointError(f"{path}: no model.safetensors or pytorch_model.bin, whole or in shards")


def mismatches(module: nn.Module, state: dict[str, Tensor]) -> list[str]:
    """Why `state` cannot fill `module`: one line for each key that is missing or has another
    shape."""
    problems = []
    for key, tensor in module.state_dict().items():
        if key not in state:
            problems.append(f"missing {key} {tuple(tensor.shape)}")
        elif state[key].shape != tensor.shape:
            problems.append(
                f"wrong shape {key}: {tuple(state[key].shape)}, expected {tuple(tensor.shape)}"
            )
    return problems


def require(module: nn.Module, state: dict[str, Tensor], name: str) -> list[str]:
    """Fill every tensor of `module` from `state`.

    Returns:
        The keys of `state` that `module` has no place for.

    Raises:
        CheckpointError: a key is missing or has another shape; all such keys are listed.
    """
    if problems := mismatches(module, state):
        raise CheckpointError(f"{name}: " + "; ".join(problems))
    wanted = module.state_dict().keys()
    module.load_state_dict({k: state[k] for k in wanted})
    return sorted(state.keys() - wanted)


def sha256(*paths: Path) -> str:
    """Hex digest of a file, or of several files joined in order."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            hashlib.file_digest(stream, lambda: digest)
    return digest.hexdigest()
