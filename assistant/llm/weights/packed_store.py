"""An LLM's packed weights in a folder of the cache, which is made once and mapped by later starts.

`weights.bin` holds all arrays; `index.json` has their places, and the length and sha256 of the
file. The tokenizer's files and `config.json` are beside them.
"""

import json
import mmap
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from hashlib import sha256 as new_digest
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor

from assistant.files.weights import sha256
from assistant.llm.weights.packed import Packed
from assistant.llm.weights.read import PlainConfig, ReadWeights, names_of

FORMAT = 1
"""Format number of the folder; folders with other numbers are made anew."""

ALIGNMENT = mmap.ALLOCATIONGRANULARITY
"""Arrays begin at multiples of this many bytes, so that each can be mapped and released alone."""

Track = Callable[[list[str]], Iterable[str]]
"""Goes through names and shows the progress."""


@dataclass(frozen=True, slots=True)
class _Array:
    """Place of an array in the file."""

    kind: str
    shape: tuple[int, ...]
    begin: int


def store(
    folder: Path,
    weights: ReadWeights,
    tokenizer: transformers.PreTrainedTokenizerBase,
    track: Track = iter,
) -> None:
    """Pack all weights of a model into `folder`, which appears only when it is complete.

    Args:
        folder: is created.
        weights: are read one after the other.
        tokenizer: is saved beside the weights.
        track: goes through the names of the weights and shows the progress.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        fresh = Path(name) / "llm"
        fresh.mkdir()
        tokenizer.save_pretrained(fresh)
        weights.config.save_pretrained(fresh)
        with (fresh / "weights.bin").open("wb") as file:
            index = _Writer(file).write(weights, track)
        (fresh / "index.json").write_text(json.dumps(index), encoding="utf-8")
        if folder.exists():  # damaged, or of another format
            shutil.rmtree(folder)
        fresh.rename(folder)


class _Writer:
    """Writes arrays into a file and remembers their places."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._digest, self._length = file, new_digest(), 0

    def write(self, weights: ReadWeights, track: Track) -> dict[str, Any]:
        """Write all weights; returns the index."""
        vectors, products = names_of(weights.config)
        found: dict[str, Any] = {
            "format": FORMAT,
            "vectors": {name: self._put(weights.vector(name).numpy()) for name in vectors},
            "products": {
                name: [self._packed(packed) for packed in weights.product(name)]
                for name in track(products)
            },
        }
        return found | {"length": self._length, "sha256": self._digest.hexdigest()}

    def _packed(self, packed: Packed) -> dict[str, Any]:
        return {
            "bits": packed.bits,
            "block": packed.block,
            "columns": packed.columns,
            "rounded": self._put(packed.rounded),
            "scale": self._put(packed.scale),
            "zero": None if packed.zero is None else self._put(packed.zero),
            "rest": None if packed.rest is None else self._packed(packed.rest),
        }

    def _put(self, array: NDArray[Any]) -> dict[str, Any]:
        place = _Array(str(array.dtype), array.shape, self._length)
        data = np.ascontiguousarray(array).tobytes()
        self._add(data)
        self._add(bytes(-len(data) % ALIGNMENT))
        return asdict(place)

    def _add(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self._length += len(data)


class StoredWeights:
    """`Weights` from a folder that `store` made."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "weights.bin"
        self._index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.config: PlainConfig = transformers.AutoConfig.from_pretrained(folder)

    def vector(self, name: str) -> Tensor:
        """See `Weights`."""
        return torch.from_numpy(np.array(self._array(self._index["vectors"][name])))

    def product(self, name: str) -> list[Packed]:
        """See `Weights`; the file stays mapped for as long as the result is in use."""
        return [self._packed(entry) for entry in self._index["products"][name]]

    def _packed(self, entry: dict[str, Any]) -> Packed:
        return Packed(
            entry["bits"],
            entry["block"],
            entry["columns"],
            self._array(entry["rounded"]),
            self._array(entry["scale"]),
            None if entry["zero"] is None else self._array(entry["zero"]),
            None if entry["rest"] is None else self._packed(entry["rest"]),
        )

    def _array(self, entry: dict[str, Any]) -> NDArray[Any]:
        place = _Array(entry["kind"], tuple(entry["shape"]), entry["begin"])
        if 0 in place.shape:
            return np.zeros(place.shape, place.kind)
        return np.memmap(self._path, place.kind, "r", place.begin, place.shape)


def is_whole(folder: Path) -> bool:
    """Whether `folder` is complete and unchanged. The file is read once after it was written or
    touched; after that only its length is checked."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        path = folder / "weights.bin"
        there = path.stat()
        if index["format"] != FORMAT or there.st_size != index["length"]:
            return False
        mark = folder / f"verified-{there.st_mtime_ns}"
        if not mark.exists():
            if sha256(path) != index["sha256"]:
                return False
            mark.touch()
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True
