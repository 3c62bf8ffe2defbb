"""Small tokenizers: one of bytes, and one that has longer tokens and its own for marks."""

from functools import cache

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from assistant.parts.tiny import toy_llm
from assistant.tools.form import HERMES
from assistant.tools.grammar import Vocabulary

MERGES = [
    ('"', ":"), ("Ġ", '"'), ("Ġ", "{"), ("Ġ{", '"'), ("{", '"'), ("}", "}"), ('"', "}"),
    ('"}', "}"), ("n", "a"), ("m", "e"), ("na", "me"), ("}", "Ċ"), ("t", "o"), ("1", "2"),
    ("Ã", "©"), ('"', ","), ("Ġ", "1"), ("t", "r"), ("u", "e"), ("tr", "ue"), ("name", '":'),
]  # fmt: skip


def marked_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE whose calls begin and end with tokens of their own, as Qwen's do."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merged = ["".join(pair) for pair in MERGES]
    vocabulary = {t: i for i, t in enumerate(["<s>", "</s>", *alphabet, *merged])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=MERGES))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens(
        [AddedToken(mark, special=False) for mark in (HERMES.mark, "</tool_call>")]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


@cache
def tokenizers() -> dict[str, PreTrainedTokenizerFast]:
    """Both, by their names."""
    return {"bytes": toy_llm(3)[1], "marked": marked_tokenizer()}


@cache
def vocabulary(name: str) -> Vocabulary:
    """Of the tokenizer `name`, three tokens wider than it: LLMs' logits often are."""
    tokenizer = tokenizers()[name]
    return Vocabulary(tokenizer, len(tokenizer) + 3, {1})
