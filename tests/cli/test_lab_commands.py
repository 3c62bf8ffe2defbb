"""Commands of those who train and judge models."""

from pathlib import Path

import pytest
import torch

from assistant.llm.adapters import lora_parameters
from assistant.model import Salmonn
from assistant.parts.build import build_llm
from assistant.parts.checkpoint import read_card
from cli import main as cli
from tests.cli.call import Call


def test_convert(call: Call, tmp_path: Path, tiny: Salmonn) -> None:
    state = {f"aligner.{k}": v for k, v in tiny.ear.aligner.state_dict().items()}
    llm = build_llm(tiny.config, train=True)
    state |= {f"llm.{k}": v.detach() for k, v in lora_parameters(llm.model).items()}
    torch.save({"parameters": {**state, "blank": torch.zeros(3)}}, tmp_path / "state.pt")
    code, out, _ = call("convert", tmp_path / "state.pt", tmp_path / "ours", "--preset", "tiny")
    assert code == 0
    assert "left out: blank" in out
    card = read_card(tmp_path / "ours")
    assert (card.preset, card.components["llm"]) == ("tiny", "toy:3")


def test_a_plan_is_shown_and_nothing_is_done(call: Call, tmp_path: Path) -> None:
    recipe = Path(cli.__file__).parents[1] / "lab" / "recipes" / "shipped.yaml"
    runs = tmp_path / "runs"
    code, out, _ = call("train", recipe, "--plan", "--runs", runs, "--step", "small-tagger")
    assert code == 0
    assert "excerpts-choose" in out
    assert "0 of " in out
    assert not runs.exists()
    code, _, err = call("train", recipe, "--step", "alien", "--runs", runs)
    assert code != 0
    assert "--step: no alien" in err


def test_a_recipe_is_done(call: Call, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        "preset: tiny\nears: {}\ncorpora: { still: { kind: nobody, count: 2, seed: 1 } }\n"
    )
    for state in ("missing", "there"):
        code, out, _ = call("train", recipe, "--runs", tmp_path / "runs", "--data", tmp_path)
        assert code == 0
        assert state in out
    assert len(list((tmp_path / "runs" / "data").glob("still-*/*.flac"))) == 2


def test_a_half_that_there_is_not_is_named(call: Call) -> None:
    code, _, err = call("eval", "--half", "both")
    assert code != 0
    assert "--half: no both; there are choose, report" in err


@pytest.mark.parametrize("command", ["train", "eval"])
def test_where_only_the_program_is_installed_the_lab_is_missed_in_one_line(
    call: Call, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(cli, "find_spec", lambda name: None if name == "lab" else object())
    code, out, err = call(command)
    assert (code, out) == (1, "")
    assert err.startswith(f"salmonn-live: {command}: needs the source checkout")
    assert err.count("\n") == 1
