"""Corpora are made as their recipe says, or refused; recipes and documented commands fit."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from assistant.config import ModelConfig
from assistant.errors import ConfigError
from lab import manifest
from lab.corpora import prepare
from lab.corpora.corpus import Corpus, load_data_config
from lab.corpora.prepare import derive, make
from lab.manifest import Row
from lab.training.config import load_stage

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "lab" / "recipes"
OTHERS = {"facts.yaml", "nano-card.yaml"}
"""Not stages and not recipes."""

RECIPES = sorted(path.stem for path in FOLDER.glob("*-data.yaml"))
STAGES = sorted(
    path.stem
    for path in FOLDER.glob("*.yaml")
    if path.name not in OTHERS and path.stem not in RECIPES
)


def corpus(**changes: object) -> Corpus:
    return Corpus.model_validate({"name": "still", "kind": "nobody", "count": 2, **changes})


def test_a_corpus_of_other_settings_is_refused(tmp_path: Path) -> None:
    source = make(corpus(), tmp_path, tmp_path / "made", 1)
    before = source.read_text()
    assert make(corpus(transcribe=1), tmp_path, tmp_path / "made", 1).read_text() == before
    for changes, found in (
        ({"count": 3}, "still: count is 3, but .*corpus.json says it was made with 2"),
        ({"seed": 7}, "still: seed is 7"),
        ({"kind": "keywords"}, "still: kind is 'keywords'"),
    ):
        with pytest.raises(ConfigError, match=found):
            make(corpus(**changes), tmp_path, tmp_path / "made", 1)
    assert source.read_text() == before


def test_a_corpus_cut_short_does_not_go_on_with_another_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(prepare._MAKERS, "nobody", lambda *_: None)
    assert not make(corpus(), tmp_path, tmp_path / "made", 1).exists()
    with pytest.raises(ConfigError, match="seed"):
        make(corpus(seed=7), tmp_path, tmp_path / "made", 1)


def test_a_corpus_without_settings_is_taken_as_it_is(tmp_path: Path) -> None:
    manifest.write(tmp_path / "made" / "still" / "manifest.jsonl", [Row("a.wav", "x")])
    source = make(corpus(), tmp_path, tmp_path / "made", 1)
    assert [row.audio for row in manifest.read(source)] == ["a.wav"]
    assert json.loads(source.with_name("corpus.json").read_text())["count"] == 2
    with pytest.raises(ConfigError, match="count"):
        make(corpus(count=3), tmp_path, tmp_path / "made", 1)


@pytest.mark.parametrize("half", [True, False])
def test_rows_alone_are_told_by_the_llm_of_the_preset(
    tmp_path: Path, tiny_config: ModelConfig, monkeypatch: pytest.MonkeyPatch, half: bool
) -> None:
    asked: list[object] = []
    llm = SimpleNamespace(model=SimpleNamespace(bfloat16=lambda: asked.append("bf16")))

    def build_llm(model: ModelConfig) -> SimpleNamespace:
        asked.append(model)
        return llm

    monkeypatch.setattr(prepare, "build_llm", build_llm)
    monkeypatch.setattr(prepare, "fast_half", lambda: half)
    monkeypatch.setattr(prepare, "stories", lambda llm, rows: iter(rows))
    manifest.write(tmp_path / "rain" / "manifest.jsonl", [Row("a.wav", "", task="audiocaption")])
    tales = corpus(name="tales", kind="stories", of=["rain"])
    source = derive(tales, tiny_config, tmp_path, tmp_path)
    assert source == tmp_path / "rain" / "tales.jsonl"
    assert [row.audio for row in manifest.read(source)] == ["a.wav"]
    assert asked == [tiny_config, "bf16"][: 1 + half]
    derive(tales, tiny_config, tmp_path, tmp_path)
    assert len(asked) == 1 + half
    with pytest.raises(ConfigError, match="tales: count is 5"):
        derive(tales.model_copy(update={"count": 5}), tiny_config, tmp_path, tmp_path)


def test_no_question_is_in_both_splits() -> None:
    asked = corpus(kind="synthetic", texts="questions")
    train, dev = (
        {line.text for line in prepare._lines(asked.model_copy(update={"split": s}), Path())}
        for s in ("train", "dev")
    )
    assert len(train) > 20 * len(dev) > 1000
    assert not train & dev


# --- what ships


@pytest.mark.parametrize("name", STAGES)
def test_shipped_stages_are_valid(name: str) -> None:
    assert load_stage(FOLDER / f"{name}.yaml").preset == "nano"


@pytest.mark.parametrize("name", RECIPES)
def test_shipped_recipes_are_valid_and_their_dev_corpora_say_so(name: str) -> None:
    config = load_data_config(FOLDER / f"{name}.yaml")
    assert config.preset == name.partition("-")[0]
    for one in config.corpora:
        watched = one.name.endswith(("-dev", "-unseen"))
        split = "choose" if one.name.endswith("-choose") else "dev" if watched else "train"
        assert one.split == split, one.name


def test_documented_commands_find_their_stores_and_mix_none() -> None:
    """In one `--runs` folder a name means one corpus, and is made before it is needed."""
    page = (ROOT / "docs" / "training.md").read_text()
    made: dict[tuple[str, str], Corpus] = {}
    commands = re.findall(r"^salmonn-live (data|train) (\S+\.yaml).* --runs (\S+)", page, re.M)
    assert len(commands) > 10
    for command, file, runs in commands:
        if command == "data":
            config = load_data_config(FOLDER / file)
            for one in config.corpora:
                settings = one.model_copy(update={"transcribe": 0})
                assert made.setdefault((runs, one.name), settings) == settings, (file, one.name)
        else:
            stage = load_stage(FOLDER / file)
            leads = [stage.lead.store] if stage.lead else []
            for store in [*(c.store for c in stage.train), *stage.watch, *leads]:
                assert (runs, store) in made, (file, store)
