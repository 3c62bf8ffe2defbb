"""A recipe from nothing to the files that ship: resumed, and with nothing done twice."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from assistant.config import ModelConfig
from assistant.errors import ConfigError
from assistant.files.weights import read_state, sha256
from assistant.model import load
from assistant.parts.checkpoint import read_card
from lab.recipe import perform
from lab.recipe.perform import lock
from lab.recipe.steps import Mean, Run, Ship, Step
from lab.training import loop
from lab.training.config import StageConfig
from tests.lab.recipe.toy import do, material, names, steps


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return material(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """Everything, made once."""
    folder = tmp_path_factory.mktemp("runs")
    do(steps(folder), data)
    return folder


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """The steps that are really done from now on."""
    found: list[Step] = []
    real = perform._do

    def remember(step: Step, setup: perform.Setup) -> dict[str, object]:
        found.append(step)
        return real(step, setup)

    monkeypatch.setattr(perform, "_do", remember)
    return found


def test_what_ships_is_made_of_the_mean_and_loads(runs: Path, tiny_config: ModelConfig) -> None:
    *_, ship = steps(runs)
    assert isinstance(ship, Ship)
    assert sorted(path.name for path in ship.place.iterdir()) == [
        "beats.safetensors", "card.json", "made.json", "weights.safetensors",
    ]  # fmt: skip
    card = read_card(ship.place)
    assert (card.preset, card.notes, card.training_data) == ("tiny", "a toy", ["tones"])
    weights = {"checkpoint": str(ship.place)}
    beats = {"weights": [str(ship.place / "beats.safetensors")]}
    encoder = tiny_config.audio_encoder
    assert encoder is not None
    weights |= {"audio_encoder": encoder.model_copy(update=beats)}  # type: ignore[dict-item]
    model = load(tiny_config.model_copy(update=weights))
    mean = next(step for step in steps(runs) if isinstance(step, Mean))
    trained = read_state(mean.state)["parameters"]["aligner.projection.weight"]
    ours = model.ear.aligner.state_dict()["projection.weight"]
    torch.testing.assert_close(ours, trained, atol=1e-3, rtol=0)


def test_a_card_says_what_a_step_was_made_from(runs: Path) -> None:
    for step in steps(runs):
        made = json.loads(step.card.read_text())
        assert made["name"] == step.name
        assert list(made["made_from"]) == [needed.place.name for needed in step.needs]
        assert made["seconds"] >= 0
        assert not (step.place / "spent.json").exists()


def test_nothing_is_done_twice(runs: Path, data: Path, done: list[Step]) -> None:
    do(steps(runs), data)
    assert done == []


def test_a_change_does_again_what_depends_on_it(runs: Path, data: Path, done: list[Step]) -> None:
    def slower(values: dict[str, Any]) -> None:
        values["runs"]["two"]["learning_rate"] = 0.002

    do(steps(runs, slower), data)
    assert names(done) == ["Run two", "Mean both", "Ship toy"]
    done.clear()
    do(steps(runs), data)  # what was made before is still there
    assert done == []


def test_a_new_name_and_new_comments_change_nothing(
    runs: Path, data: Path, done: list[Step]
) -> None:
    def other_names(values: dict[str, Any]) -> None:
        values["runs"]["second"] = {**values["runs"].pop("two"), "minutes": 3.0, "threads": 2}
        values["corpora"]["said"] = values["corpora"].pop("words")
        values["corpora"]["kinds"]["of"] = ["said"]
        for run in values["runs"].values():
            run["train"] = {{"words": "said"}.get(n, n): t for n, t in run["train"].items()}
        values["means"]["both"] = {"one": 1.0, "second": 3.0}

    do(steps(runs, other_names), data)
    assert done == []


def test_a_run_that_was_interrupted_goes_on(
    runs: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: list[Step]
) -> None:
    def hasty(values: dict[str, Any]) -> None:
        values["runs"]["align"]["checkpoint_minutes"] = 1e-9

    real, calls = loop.learning_rate, iter(range(100))

    def stop_in_align(step: int, total: int, config: StageConfig) -> float:
        if config.stage == "ctc" and next(calls) == 5:  # twice a step
            raise KeyboardInterrupt
        return real(step, total, config)

    monkeypatch.setattr(loop, "learning_rate", stop_in_align)
    with pytest.raises(KeyboardInterrupt):
        do(steps(tmp_path, hasty), data)
    align = next(step for step in steps(tmp_path, hasty) if step.name == "align")
    assert isinstance(align, Run)
    assert not align.done
    assert read_state(align.state)["step"] == 2
    assert (align.place / "spent.json").exists()
    *before, interrupted = [step.place for step in done]
    done.clear()
    do(steps(tmp_path, hasty), data)
    assert done[0].place == interrupted == align.place
    assert not {step.place for step in done} & set(before)
    for ours, theirs in zip(steps(tmp_path, hasty), steps(runs), strict=True):
        assert ours.digest == theirs.digest
        if isinstance(ours, Run | Mean):
            assert isinstance(theirs, Run | Mean)
            mine, other = (read_state(s.state)["parameters"] for s in (ours, theirs))
            assert all(torch.equal(mine[name], tensor) for name, tensor in other.items())


def test_it_is_said_whether_the_bits_are_those_that_ship(runs: Path, data: Path) -> None:
    *_, ship = steps(runs)
    found = sha256(ship.place / "beats.safetensors")

    def known(values: dict[str, Any]) -> None:
        files = values["ships"]["toy"]["files"]
        files["beats.safetensors"]["sha256"] = found
        values["ships"]["toy"]["card"]["notes"] = "again"

    said: list[str] = []
    do(steps(runs, known), data, said)
    assert [line.rpartition(", ")[2] for line in said] == [
        "other bits than what ships", "what ships",
    ]  # fmt: skip


def test_one_folder_of_runs_is_one_programs(tmp_path: Path) -> None:
    taken = pytest.raises(ConfigError, match="another program is at work there")
    with lock(tmp_path), taken, lock(tmp_path):
        pass
    with lock(tmp_path):
        pass
