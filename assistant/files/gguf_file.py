"""Reads a GGUF file in place, whether it is whole or cut into parts."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import transformers
from gguf import GGMLQuantizationType as Kind
from numpy.typing import NDArray

from assistant.errors import ComponentError


@dataclass(frozen=True, slots=True)
class _Place:
    """Place of a tensor in the file."""

    kind: Kind
    shape: tuple[int, ...]
    """Shape of the tensor's bytes; for a matrix, (rows, bytes of a row)."""

    begin: int


class GgufFile:
    """The tensors and metadata of a GGUF file; transformers reads its tokenizer."""

    def __init__(self, parts: list[Path]) -> None:
        """`parts`: the file, or its parts in order, of which the first holds the whole header.

        Raises:
            ComponentError: it is no GGUF file, or is cut short.
        """
        self._parts = [np.memmap(part, np.uint8, "r") for part in parts]
        self._ends = np.cumsum([len(part) for part in self._parts])
        self._paths = parts
        with self._whole() as path:
            try:
                reader = gguf.GGUFReader(path)
            except (ValueError, KeyError, IndexError) as error:
                raise ComponentError(f"{parts[0]}: not a GGUF file ({error})") from error
            self._places = {
                str(tensor.name): _Place(
                    tensor.tensor_type, tuple(map(int, tensor.data.shape)), int(tensor.data_offset)
                )
                for tensor in reader.tensors
            }
            self._fields = {
                name: field.contents()
                for name, field in reader.fields.items()
                if not name.startswith("tokenizer.") or name.endswith("_token_id")
            }
            del reader  # it holds the file

    @property
    def architecture(self) -> str:
        """Name of the architecture, such as `qwen2`."""
        return str(self._fields.get("general.architecture"))

    def setting(self, name: str) -> Any:
        """A setting of the architecture, such as `block_count`.

        Raises:
            ComponentError: it is not there.
        """
        key = f"{self.architecture}.{name}"
        if key not in self._fields:
            raise ComponentError(f"{self._paths[0]}: no {key}")
        return self._fields[key]

    def tokenizer_id(self, name: str) -> int | None:
        """Id of a special token, `bos` or `eos`; None if the tokenizer has none."""
        found: int | None = self._fields.get(f"tokenizer.ggml.{name}_token_id")
        return found

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def raw(self, name: str) -> tuple[Kind, NDArray[np.uint8]]:
        """A tensor's number format and bytes, (rows, bytes of a row).

        Raises:
            ComponentError: there is no such tensor, or it lies beyond the end of the file.
        """
        if name not in self._places:
            raise ComponentError(f"{self._paths[0]}: no tensor {name}")
        place = self._places[name]
        if place.kind in (Kind.F32, Kind.F16):
            shape = *place.shape[:-1], place.shape[-1] * (4 if place.kind is Kind.F32 else 2)
        else:
            shape = place.shape
        data = self._bytes(place.begin, int(np.prod(shape)))
        return place.kind, data.reshape(shape)

    def floats(self, name: str) -> NDArray[np.float32]:
        """The values of a tensor, in fp32."""
        kind, raw = self.raw(name)
        return np.asarray(gguf.quants.dequantize(np.ascontiguousarray(raw), kind), np.float32)

    def tokenizer(self) -> transformers.PreTrainedTokenizerBase:
        """The tokenizer, with its chat template, made from the header. This takes some seconds."""
        with self._whole() as path:
            return transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)

    def _bytes(self, begin: int, length: int) -> NDArray[np.uint8]:
        """Bytes of the file; copied only if they lie in more than one part."""
        end = begin + length
        if end > self._ends[-1]:
            raise ComponentError(f"{self._paths[-1]}: the file is cut short")
        found, start = [], 0
        for part, stop in zip(self._parts, self._ends, strict=True):
            if start < end and stop > begin:
                found.append(part[max(0, begin - start) : end - start])
            start = int(stop)
        return found[0] if len(found) == 1 else np.concatenate(found)

    @contextmanager
    def _whole(self) -> Iterator[Path]:
        """Path of a file with the whole header; for parts, a sparse file with the first one."""
        if len(self._paths) == 1:
            yield self._paths[0]
            return
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "header.gguf"
            with path.open("wb") as file:
                file.write(self._parts[0].data)
                file.truncate(int(self._ends[-1]))
            yield path
