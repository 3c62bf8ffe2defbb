"""An LLM that lies packed in the cache: its engine, and its embeddings row by row."""

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
from assistant.llm.engines.onnx_engine import OnnxEngine, OnnxState
from assistant.llm.weights.packed import Packed
from assistant.llm.weights.packed_store import StoredWeights
from assistant.llm.weights.read import PlainConfig

BEGUN = "begun-"
"""What the names of files with states begin with."""


class Rows:
    """An embedding table of which no more is in memory than was looked up."""

    def __init__(self, table: Packed) -> None:
        self._table = table
        self.weight = torch.zeros(0, table.columns)
        """The rows that are in memory, as wide as all are."""

    def __call__(self, ids: Tensor) -> Tensor:
        """Embeddings (n, width), fp32, of token ids (n,)."""
        return self._table[ids.numpy()].floats()


class PackedLlm:
    """What `Llm` asks of a model, of one that is not in memory as transformers would have it."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Args:
        folder: of `packed_store.store`.
        threads: that share a product.
        """
        self._folder = folder
        weights = StoredWeights(folder)
        self.config: PlainConfig = weights.config
        self.engine = OnnxEngine(weights, threads)
        (table,) = weights.product("embed")
        self._rows = Rows(table)

    def get_input_embeddings(self) -> Rows:
        """The table of the tokens' embeddings."""
        return self._rows

    def begun(self, ids: list[int], at_once: int) -> tuple[OnnxState, Tensor]:
        """A state that holds `ids`, and what `OnnxEngine.append` gave for the last of them.

        It takes seconds to make, so the one that was made last is kept beside the weights.

        Args:
            ids: token ids, one or more.
            at_once: how many are put in together.
        """
        made_of = repr((ids, at_once, onnxruntime.__version__))
        path = self._folder / f"{BEGUN}{sha256(made_of.encode()).hexdigest()[:16]}.safetensors"
        with contextlib.suppress(*UNREADABLE):  # not there, or damaged
            kept = safetensors.torch.load_file(path)
            return self.engine.restored(kept), kept["last"]
        state = self.engine.start()
        embeds = self._rows(torch.tensor(ids, dtype=torch.long))
        for piece in embeds.split(at_once):
            last = self.engine.append(state, piece)
        with contextlib.suppress(OSError):  # a cache that cannot be written is made each time
            for old in self._folder.glob(f"{BEGUN}*"):
                old.unlink(missing_ok=True)
            fresh = path.with_suffix(f".{os.getpid()}")
            safetensors.torch.save_file(self.engine.dumped(state) | {"last": last}, fresh)
            fresh.rename(path)
        return state, last

    def eval(self) -> "PackedLlm":
        """There is nothing to switch off."""
        return self


def load_packed(
    folder: Path, threads: int
) -> tuple[PackedLlm, transformers.PreTrainedTokenizerBase]:
    """A folder of `packed_store.store`, ready to run, and its tokenizer."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return PackedLlm(folder, threads), tokenizer
