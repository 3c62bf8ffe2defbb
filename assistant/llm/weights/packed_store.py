"""An LLM's packed weights in a folder of the cache: made once, mapped ever after.

`weights.bin` holds the arrays one after the other, `index.json` says where, and how long the file
is and its sha256. The tokenizer's files and `config.json` lie beside them.
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
"""Of the folder; another one is made anew."""

ALIGNMENT = mmap.ALLOCATIONGRANULARITY
"""Bytes that arrays begin at multiples of, so that each is mapped, and let go, by itself."""

Track = Callable[[list[str]], Iterable[str]]
"""Shows how far one is."""


@dataclass(frozen=True, slots=True)
class _Array:
    """Where an array is in the file."""

    kind: str
    shape: tuple[int, ...]
    begin: int


def store(
    folder: Path,
    weights: ReadWeights,
    tokenizer: transformers.PreTrainedTokenizerBase,
    track: Track = iter,
) -> None:
    """Pack all weights of a model into `folder`, which is there, whole, or not at all.

    Args:
        folder: to be made.
        weights: read one after the other.
        tokenizer: saved beside them.
        track: goes through the names of what is packed.
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
    """Puts arrays into a file and remembers where."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._digest, self._length = file, new_digest(), 0

    def write(self, weights: ReadWeights, track: Track) -> dict[str, Any]:
        """All of them; the index."""
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
    """`Weights` of a folder that `store` made."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "weights.bin"
        self._index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.config: PlainConfig = transformers.AutoConfig.from_pretrained(folder)

    def vector(self, name: str) -> Tensor:
        """See `Weights`."""
        return torch.from_numpy(np.array(self._array(self._index["vectors"][name])))

    def product(self, name: str) -> list[Packed]:
        """See `Weights`; mapped, for as long as something holds it."""
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
    """Whether `folder` is what `store` made. The file is read through once after it was written or
    touched; after that its length is looked at."""
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
