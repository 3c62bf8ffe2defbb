"""An LLM that lies packed in the cache: its engine, and its embeddings row by row."""

from pathlib import Path

import torch
import transformers
from torch import Tensor

from assistant.llm.engines.onnx_engine import OnnxEngine
from assistant.llm.weights.packed import Packed
from assistant.llm.weights.packed_store import StoredWeights
from assistant.llm.weights.read import PlainConfig


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

    def __init__(self, weights: StoredWeights, threads: int) -> None:
        """Args:
        weights: mapped.
        threads: that share a product.
        """
        self.config: PlainConfig = weights.config
        self.engine = OnnxEngine(weights, threads)
        (table,) = weights.product("embed")
        self._rows = Rows(table)

    def get_input_embeddings(self) -> Rows:
        """The table of the tokens' embeddings."""
        return self._rows

    def eval(self) -> "PackedLlm":
        """There is nothing to switch off."""
        return self


def load_packed(
    folder: Path, threads: int
) -> tuple[PackedLlm, transformers.PreTrainedTokenizerBase]:
    """A folder of `packed_store.store`, ready to run, and its tokenizer."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return PackedLlm(StoredWeights(folder), threads), tokenizer
