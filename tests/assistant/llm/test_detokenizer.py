import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from assistant.llm.detokenizer import Detokenizer, Pieces
from assistant.parts.tiny import toy_llm

BYTE_LEVEL = toy_llm(3)[1]


def like_llama() -> PreTrainedTokenizerFast:
    """SentencePiece's habits with a small vocabulary: `▁` for space, bytes for what is unknown."""
    words = ["▁", "h", "i", "y", "o", "u", "é", "▁h", "▁hi", "▁y", "▁yo", "▁you"]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    merges = [("▁", "h"), ("▁h", "i"), ("▁", "y"), ("▁y", "o"), ("▁yo", "u")]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    model = models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


SENTENCE_PIECE = like_llama()


def ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False))


def deltas(tokenizer: PreTrainedTokenizerBase, pieces: list[str]) -> list[str]:
    """What each piece shows, and last what flush shows."""
    detokenizer = Detokenizer(Pieces(tokenizer))
    shown = [detokenizer.push(tokenizer.convert_tokens_to_ids(piece)) for piece in pieces]
    return [*shown, detokenizer.flush()]


@settings(deadline=None)
@given(st.text())
def test_bytes_come_back_as_the_text_and_each_character_as_soon_as_it_is_whole(text: str) -> None:
    assume("<s>" not in text and "</s>" not in text)
    detokenizer, raw, shown = Detokenizer(Pieces(BYTE_LEVEL)), text.encode(), ""
    for count, token in enumerate(ids(BYTE_LEVEL, text), 1):
        delta = detokenizer.push(token)
        assert "\ufffd" in text or "\ufffd" not in delta
        shown += delta
        assert shown == raw[:count].decode(errors="ignore")
    assert detokenizer.flush() == ""
    assert shown == text


@settings(deadline=None)
@given(st.text(st.one_of(st.sampled_from("hi you é"), st.characters(codec="utf-8"))))
def test_sentence_pieces_come_back_as_the_text(text: str) -> None:
    assume("▁" not in text and "<" not in text)
    detokenizer = Detokenizer(Pieces(SENTENCE_PIECE))
    shown = [detokenizer.push(token) for token in ids(SENTENCE_PIECE, text)]
    assert "\ufffd" in text or not any("\ufffd" in delta for delta in shown)
    assert "".join(shown) == text == SENTENCE_PIECE.decode(ids(SENTENCE_PIECE, text))
    assert detokenizer.flush() == ""


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["▁hi", "▁you"], ["hi", " you", ""]),
        (["▁", "▁", "h"], ["", " ", "h", ""]),  # one space is SentencePiece's, the second is ours
        (["h", "▁hi"], ["h", " hi", ""]),
        (["<s>", "▁hi", "</s>", "▁hi"], ["", "hi", "", " hi", ""]),
        (["▁hi", "<0xE2>", "<0x82>", "<0xAC>"], ["hi", "", "", "€", ""]),
        (["<0xE2>", "<0x82>", "<0xAC>", "▁hi"], ["", "", "€", " hi", ""]),
        (["▁hi", "<0xFF>", "▁hi"], ["hi", "\ufffd", " hi", ""]),
        (["▁hi", "<0xE2>", "▁hi"], ["hi", "", "\ufffd hi", ""]),
        (["▁hi", "<0xE2>", "<0x82>"], ["hi", "", "", "\ufffd"]),
    ],
)
def test_sentence_pieces_one_by_one(pieces: list[str], shown: list[str]) -> None:
    assert deltas(SENTENCE_PIECE, pieces) == shown


def test_an_unfinished_character_shows_as_a_replacement_on_flush_only() -> None:
    detokenizer = Detokenizer(Pieces(BYTE_LEVEL))
    shown = [detokenizer.push(token) for token in ids(BYTE_LEVEL, "a😀")[:-1]]
    assert shown == ["a", "", "", ""]
    assert detokenizer.flush() == "\ufffd"


@pytest.mark.parametrize("special", ["<s>", "</s>"])
@pytest.mark.parametrize("tokenizer", [BYTE_LEVEL, SENTENCE_PIECE])
def test_special_tokens_give_nothing(tokenizer: PreTrainedTokenizerBase, special: str) -> None:
    assert deltas(tokenizer, [special, special]) == ["", "", ""]


@pytest.mark.parametrize("tokenizer", [BYTE_LEVEL, SENTENCE_PIECE])
def test_a_token_beyond_the_vocabulary_gives_nothing(tokenizer: PreTrainedTokenizerBase) -> None:
    assert Detokenizer(Pieces(tokenizer)).push(len(tokenizer)) == ""


def test_bytes_keep_the_first_space() -> None:
    detokenizer = Detokenizer(Pieces(BYTE_LEVEL))
    assert "".join(map(detokenizer.push, ids(BYTE_LEVEL, " a"))) == " a"


def test_a_token_added_by_name_shows_its_name() -> None:
    tokenizer = toy_llm(3)[1]
    tokenizer.add_tokens(["<a tool>"])
    assert deltas(tokenizer, ["<a tool>"]) == ["<a tool>", ""]


def test_answers_do_not_share_state() -> None:
    first, second = Detokenizer(Pieces(SENTENCE_PIECE)), Detokenizer(Pieces(SENTENCE_PIECE))
    half, word = SENTENCE_PIECE.convert_tokens_to_ids(["<0xE2>", "▁hi"])
    assert first.push(half) == ""
    assert second.push(word) == "hi"
