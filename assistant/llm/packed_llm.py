"""An LLM with packed weights from the cache folder: its engine, and its table of embeddings."""

import contextlib
import os
from hashlib import sha256
from pathlib import Path

import onnxruntime
import safetensors.torch
import torch
import transformers
from torch import Tensor

from assistant.files.weights import UNREADABLE
from assistant.llm.engines.onnx_engine import OnnxEngine
from assistant.llm.engines.onnx_state import OnnxState
from assistant.llm.weights.packed import Packed
from assistant.llm.weights.packed_store import StoredWeights
from assistant.llm.weights.read import PlainConfig

BEGUN = "begun-"
"""Prefix of the names of files with states."""

KEPT = 2
"""Such files that are kept: with functions of our own, and without."""


class Rows:
    """A table of embeddings, of which only rows that were looked up are read into memory."""

    def __init__(self, table: Packed) -> None:
        self._table = table
        self.weight = torch.zeros(0, table.columns)
        """An empty tensor with the width and number format of the rows."""

    def __call__(self, ids: Tensor) -> Tensor:
        """Embeddings (n, width), fp32, of token ids (n,)."""
        return self._table[ids.numpy()].floats()


class PackedLlm:
    """Packed weights with the part of a transformers model's interface that `Llm` uses."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Args:
        folder: made by `packed_store.store`.
        threads: number of threads that share a matrix product.
        """
        self._folder = folder
        weights = StoredWeights(folder)
        self.config: PlainConfig = weights.config
        self.engine = OnnxEngine(weights, threads)
        (table,) = weights.product("embed")
        self._rows = Rows(table)

    def get_input_embeddings(self) -> Rows:
        """The table of token embeddings."""
        return self._rows

    def begun(self, ids: list[int], at_once: int) -> tuple[OnnxState, Tensor]:
        """A state that holds `ids`, and the result of `OnnxEngine.append` for the last of them.

        It takes seconds to make, so the last ones are kept beside the weights.

        Args:
            ids: token ids, one or more.
            at_once: how many are prefilled in one pass.
        """
        made_of = repr((ids, at_once, onnxruntime.__version__))
        path = self._folder / f"{BEGUN}{sha256(made_of.encode()).hexdigest()[:16]}.safetensors"
        with contextlib.suppress(*UNREADABLE):  # not there, or damaged
            kept = safetensors.torch.load_file(path)
            return self.engine.restored(kept), kept["last"].clone()  # the others' memory is freed
        state = self.engine.start()
        embeds = self._rows(torch.tensor(ids, dtype=torch.long))
        for piece in embeds.split(at_once):
            last = self.engine.append(state, piece)
        with contextlib.suppress(OSError):  # a cache that cannot be written is made each time
            files = sorted(self._folder.glob(f"{BEGUN}*"), key=lambda file: file.stat().st_mtime)
            for old in files[: len(files) - KEPT + 1]:
                old.unlink(missing_ok=True)
            fresh = path.with_suffix(f".{os.getpid()}")
            safetensors.torch.save_file(self.engine.dumped(state) | {"last": last}, fresh)
            fresh.rename(path)
        return state, last

    def eval(self) -> "PackedLlm":
        """Does nothing: there is no training mode to leave."""
        return self


def load_packed(
    folder: Path, threads: int
) -> tuple[PackedLlm, transformers.PreTrainedTokenizerBase]:
    """Load a folder that `packed_store.store` made: the LLM, ready to run, and its tokenizer."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return PackedLlm(folder, threads), tokenizer
