"""The recipe of what ships resolves, and says of the shipped files what they are."""

import json
from functools import cache
from pathlib import Path

import pytest

from assistant.config import ModelConfig
from assistant.errors import ConfigError
from assistant.files.presets import load_preset, shipped_config
from assistant.files.weights import sha256
from lab import manifest
from lab.corpora.corpus import CorpusConfig
from lab.corpora.prepare import Order, make
from lab.recipe.apart import require_apart
from lab.recipe.graph import steps_of
from lab.recipe.material import READS, check, content
from lab.recipe.plan import plan
from lab.recipe.recipe import RecipeConfig, load_recipe, needed_by
from lab.recipe.steps import Run

ROOT = Path(__file__).parents[3]
DATA = Path("../shared/data")
shared = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")


@pytest.fixture(scope="module")
def shipped() -> RecipeConfig:
    return load_recipe(ROOT / "lab" / "recipes" / "shipped.yaml")


@cache
def preset(name: str) -> ModelConfig:
    return load_preset(shipped_config(), name)[1]


@pytest.mark.parametrize("path", sorted((ROOT / "lab" / "recipes").iterdir()), ids=lambda p: p.name)
def test_every_recipe_is_valid(path: Path) -> None:
    assert load_recipe(path).corpora


def test_every_step_of_what_ships_is_known(shipped: RecipeConfig, tmp_path: Path) -> None:
    steps = steps_of(shipped, preset, tmp_path)
    done: set[str] = set()
    for step in steps:  # each after those it needs
        assert {needed.digest for needed in step.needs} <= done, step.name
        done.add(step.digest)
    runs = [step for step in steps if isinstance(step, Run)]
    assert len(runs) == 14
    assert all(run.config.minutes for run in runs)
    hours = sum(line.minutes or 0.0 for line in plan(shipped, steps, tmp_path)) / 60
    assert 15 < hours < 19  # as the records of the days say


def test_trials_are_known_and_what_ships_does_not_come_from_them(
    shipped: RecipeConfig, tmp_path: Path
) -> None:
    needed = set[str]().union(*(needed_by(shipped, ship) for ship in shipped.ships))
    trials = {"stories", "mixtures", "names-alone", "sharp", "sharp-read"}
    assert shipped.runs.keys() - needed == trials
    assert steps_of(shipped, preset, tmp_path, sorted(trials))


def test_the_files_that_ship_are_those_it_names(shipped: RecipeConfig) -> None:
    named = set[Path]()
    for ship in shipped.ships.values():
        digests = {file: known.sha256 for file, known in ship.files.items()}
        digests |= {file: known.sha256 for file, known in ship.besides.items()}
        for file, digest in digests.items():
            path = ROOT / ship.folder / file
            assert sha256(path) == digest, path
            named.add(path)
    assert named == set((ROOT / "assistant" / "weights").rglob("*.safetensors"))


def test_the_card_of_nano_is_the_recipes(shipped: RecipeConfig) -> None:
    ship = shipped.ships["nano"]
    card = json.loads((ROOT / ship.folder / "card.json").read_text())
    assert ship.card is not None
    assert card["weights_sha256"] == ship.files["weights.safetensors"].sha256
    for key, value in ship.card.model_dump().items():
        assert card[key] == value, key


def test_presets_load_what_it_ships() -> None:
    for name, folder in (("nano", "nano"), ("nano-two-ears", "nano"), ("small", "small")):
        model = preset(name)
        assert model.sound_tagger is not None
        assert model.sound_tagger.weights == [f"shipped:{folder}/tagger.safetensors"]


def test_what_its_corpora_read_is_listed(shipped: RecipeConfig) -> None:
    read = {name for corpus in shipped.corpora.values() for name in READS[corpus.kind]}
    assert shipped.material.keys() == read


def test_material_that_changed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rain").mkdir()
    (tmp_path / "rain" / "1.wav").write_bytes(b"1")
    before = content(tmp_path / "rain")
    (tmp_path / "rain.jsonl").write_text("{}\n")
    listed = content(tmp_path / "rain")
    assert before != listed
    check({"rain": listed, "rain/1.wav": sha256(tmp_path / "rain" / "1.wav")}, tmp_path)
    (tmp_path / "rain" / "1.wav").write_bytes(b"2")
    with pytest.raises(ConfigError, match=r"rain: its sha256 is .*, and the recipe says"):
        check({"rain": listed}, tmp_path)
    with pytest.raises(ConfigError, match="snow: no such file or folder"):
        check({"snow": listed}, tmp_path)


@shared
def test_the_material_is_that_which_lies_there(shipped: RecipeConfig) -> None:
    check(shipped.material, DATA)


@shared
def test_real_sets_that_train_choose_and_report_are_apart(tmp_path: Path) -> None:
    """Of the corpora that are lists of recordings; synthetic ones are apart by their sentences."""
    groups = []
    for split in ("train", "choose", "report"):
        made = []
        for kind in ("speechocean", "sounds"):
            corpus = CorpusConfig.model_validate({"kind": kind, "split": split})
            source = tmp_path / f"{kind}-{split}" / "manifest.jsonl"
            if (kind, split) != ("sounds", "train"):  # made, not listed
                make(Order(kind, corpus, (), DATA, source))
                assert manifest.read(source)
                made.append((source.parent.name, source))
        groups.append(made)
    require_apart(*groups)
    sounds = tmp_path / "sounds-report" / "manifest.jsonl"
    with pytest.raises(ConfigError, match="sounds-report: .* is in again, too, which chooses"):
        require_apart([], [("again", sounds)], [("sounds-report", sounds)])
