"""Which weights a model has: another text when they are others, at little cost."""

from pathlib import Path

import pytest

from assistant.files.presets import load_preset, shipped_config
from assistant.files.weights import SHIPPED
from assistant.parts import components, fingerprint
from assistant.parts.checkpoint import read_card
from assistant.parts.fingerprint import PIECE, PIECES, fingerprints


def of(path: Path) -> str:
    return fingerprint._digest(path)


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, PIECES * PIECE, PIECES * PIECE + 1])
def test_the_first_and_the_last_byte_count(tmp_path: Path, size: int) -> None:
    content = bytearray(size)
    (tmp_path / "w.bin").write_bytes(content)
    before = of(tmp_path / "w.bin")
    assert len(before) == 16
    for at in {0, size - 1} if size else set():
        content[at] ^= 1
        (tmp_path / "w.bin").write_bytes(content)
        assert of(tmp_path / "w.bin") != before
        content[at] ^= 1
    (tmp_path / "w.bin").write_bytes(bytes(size + 1))
    assert of(tmp_path / "w.bin") != before


def test_of_a_large_file_little_is_read() -> None:
    places = fingerprint._places(2**40)
    assert len(places) == PIECES
    assert (places[0], places[-1]) == (0, 2**40 - PIECE)


def test_a_folder_is_the_same_wherever_it_lies(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"weights")
        (tmp_path / name / "README.md").write_text(name)
    assert of(tmp_path / "a") == of(tmp_path / "b")
    (tmp_path / "b" / "config.json").write_text("{}")
    assert of(tmp_path / "a") != of(tmp_path / "b")


def test_of_presets() -> None:
    assert fingerprints(load_preset(shipped_config(), "tiny")[1]) == {
        "speech_encoder": "toy:1",
        "audio_encoder": "toy:2",
        "sound_tagger": "toy:7",
        "end_of_turn": None,
        "tool_router": None,
        "llm": "toy:3",
        "checkpoint": None,
    }


def test_a_shipped_folder_is_known_by_its_card() -> None:
    config = load_preset(shipped_config(), "tiny")[1]
    told = fingerprints(config.model_copy(update={"checkpoint": "shipped:nano"}))
    folder = SHIPPED / "nano"
    assert told["checkpoint"] == read_card(folder).weights_sha256[:16]


@pytest.mark.parametrize("name", ["small", "mini"])
def test_a_file_in_parts_is_known_by_its_pinned_digest(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(components, "locate", lambda file: Path("part"))
    monkeypatch.setattr(components, "locate_parts", lambda parts: [Path("part")])
    config = load_preset(shipped_config(), name)[1]
    (pinned,) = components.PINNED[config.llm.weights[0]]
    assert fingerprints(config)["llm"] == pinned.sha256[:16]
    assert pinned.sha256 in components.describe(config.llm.weights)
    monkeypatch.setattr(components, "locate_parts", lambda parts: None)
    assert fingerprints(config)["llm"] != pinned.sha256[:16]
