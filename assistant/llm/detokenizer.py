"""From token ids to text deltas that never contain half a character."""

import codecs
import json

from transformers import PreTrainedTokenizerBase

SPACE_MARK = "▁"
"""SentencePiece's mark for a space."""


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-ins for bytes: printable Latin-1 is itself, the rest follow from
    U+0100 in order (Radford et al. 2019, section 2.2)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {chr(b): b for b in printable} | {chr(0x100 + i): b for i, b in enumerate(others)}


_BYTES = _byte_alphabet()


class Pieces:
    """The bytes of every token of a tokenizer. Reading a tokenizer takes 0.2 s, so there is one of
    these per model."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._special = frozenset(tokenizer.all_special_ids)
        decoder = json.loads(tokenizer.backend_tokenizer.to_str())["decoder"] or {}
        self.byte_level = decoder.get("type") == "ByteLevel"
        """Whether tokens stand for bytes as in GPT-2; otherwise as in SentencePiece."""

    def bytes(self, token: int) -> bytes:
        """The bytes of `token`; none for special tokens and for ids beyond the vocabulary."""
        piece = None if token in self._special else self._tokenizer.convert_ids_to_tokens(token)
        if piece is None:
            return b""
        if self.byte_level:
            if all(c in _BYTES for c in piece):
                return bytes(_BYTES[c] for c in piece)
            return str(piece).encode()  # a token added by name, such as a tool marker
        if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
            return bytes([int(piece[3:5], 16)])
        return str(piece).replace(SPACE_MARK, " ").encode()


class Detokenizer:
    """Turns the tokens of one answer into text.

    Tokens stand for bytes, and the bytes of a character may be spread over several tokens. An
    incomplete character waits for its other bytes; invalid bytes become U+FFFD.
    """

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._start = not pieces.byte_level  # SentencePiece puts a space before the first word

    def push(self, token: int) -> str:
        """The text that `token` completes, which may be empty."""
        text = self._utf8.decode(self._pieces.bytes(token))
        if self._start and text:
            self._start = False
            text = text.removeprefix(" ")
        return text

    def flush(self) -> str:
        """The rest of the text at the end of the answer: U+FFFD for an incomplete character."""
        return self._utf8.decode(b"", final=True)
