"""Our folder of weights, and its card."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from assistant.errors import CheckpointError
from assistant.parts.checkpoint import TrainedWeights, read_card, read_trained, write_folder
from tests.assistant.parts.models import CARD, toy_model


def test_our_folder_gives_back_what_was_written_to_half_precision(folder: Path) -> None:
    written = read_trained(folder.parents[1] / "salmonn.pth")
    found = read_trained(folder)
    for before, after in [(written.aligner, found.aligner), (written.lora, found.lora)]:
        assert before.keys() == after.keys()
        for key, value in before.items():
            torch.testing.assert_close(after[key].float(), value, rtol=2**-11, atol=1e-7)
    assert found.leftover == []
    aligner, llm = toy_model()
    assert found.fill(aligner, llm, "it") == []
    assert torch.equal(aligner.queries, found.aligner["queries"].float())


def test_the_card_says_what_it_was_given_and_the_digest(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    assert card.pop("weights_sha256") == read_card(folder).weights_sha256
    assert card == {"format": 1, "components": {}, "notes": "", **CARD}
    assert {path.name for path in folder.iterdir()} == {"card.json", "weights.safetensors"}


def test_a_card_of_unknown_fields_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="colour"):
        write_folder(tmp_path, TrainedWeights({}, {}), {**CARD, "colour": "red"})


def test_a_missing_key_in_our_folder_is_named_as_there(folder: Path) -> None:
    weights = read_trained(folder)
    lacking = {k: v for k, v in weights.aligner.items() if k != "projection.bias"}
    write_folder(folder, replace(weights, aligner=lacking), CARD)
    with pytest.raises(CheckpointError, match=r"^it: missing aligner\.projection\.bias \(16,\)$"):
        read_trained(folder).fill(*toy_model(), "it")


def test_tampered_weights_are_refused(folder: Path) -> None:
    path = folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: sha256 .* is not the card's"):
        read_trained(folder)


def rewrite_card(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / "card.json").read_text()) | changes
    (folder / "card.json").write_text(json.dumps(card))


@pytest.mark.parametrize("beside", [{}, {"tokens_per_second": 6.25}])
def test_a_newer_format_is_refused_as_newer(folder: Path, beside: dict[str, Any]) -> None:
    rewrite_card(folder, format=2, **beside)
    with pytest.raises(CheckpointError, match="format 2 is newer than this program"):
        read_trained(folder)


def test_a_missing_card_or_weights_file_is_named(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: no such file"):
        read_trained(folder)
    (folder / "card.json").unlink()
    with pytest.raises(CheckpointError, match=r"card\.json: not a card of ours"):
        read_trained(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"preset": "toy"}', "no json"])
def test_a_file_that_is_no_card_is_refused(folder: Path, content: str) -> None:
    (folder / "card.json").write_text(content)
    with pytest.raises(CheckpointError, match="not a card of ours"):
        read_trained(folder)
