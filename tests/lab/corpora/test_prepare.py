"""Corpora are made as they are described, or refused."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from assistant.config import ModelConfig
from assistant.errors import ConfigError
from lab import manifest
from lab.corpora import prepare
from lab.corpora.corpus import CorpusConfig
from lab.corpora.prepare import Order, make
from lab.corpora.recordings import Maker
from lab.corpora.scenes import RoughMaker
from lab.manifest import Row


def corpus(**changes: object) -> CorpusConfig:
    return CorpusConfig.model_validate({"kind": "nobody", "count": 2, **changes})


def order(folder: Path, one: CorpusConfig, *of: Path, model: ModelConfig | None = None) -> Order:
    return Order("still", one, of, folder, folder / "made" / "manifest.jsonl", 1, model)


def test_recordings_that_are_there_are_not_made_again(tmp_path: Path) -> None:
    make(order(tmp_path, corpus()))
    recordings = {path: path.stat().st_mtime_ns for path in (tmp_path / "made").glob("*.flac")}
    assert len(recordings) == 2
    rows = (tmp_path / "made" / "manifest.jsonl").read_text()
    make(order(tmp_path, corpus()))
    assert (tmp_path / "made" / "manifest.jsonl").read_text() == rows
    assert {path: path.stat().st_mtime_ns for path in recordings} == recordings


def test_without_material_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--data: .*nowhere: no such folder"):
        make(Order("still", corpus(), (), tmp_path / "nowhere", tmp_path / "m.jsonl"))


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
    rain = tmp_path / "rain" / "manifest.jsonl"
    manifest.write(rain, [Row("a.wav", "", task="audiocaption")])
    tales = CorpusConfig.model_validate({"kind": "stories", "of": ["rain"]})
    wanted = order(tmp_path, tales, rain, model=tiny_config)
    make(wanted)
    assert [row.audio for row in manifest.read(wanted.source)] == ["a.wav"]
    assert asked == [tiny_config, "bf16"][: 1 + half]


@pytest.mark.parametrize("live", [True, False])
def test_roughened_speech_is_cut_as_live_turns_are_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: bool
) -> None:
    made: list[Maker] = []
    monkeypatch.setattr(prepare, "_write", lambda maker, order: made.append(maker))
    speech = tmp_path / "speech.jsonl"
    manifest.write(speech, [Row("a.wav", "on")])
    make(order(tmp_path, corpus(kind="rough", of=["speech"], live=live), speech))
    (maker,) = made
    assert isinstance(maker, RoughMaker)
    assert maker._live is live


def test_no_question_is_in_two_splits() -> None:
    def texts(split: str) -> set[str]:
        one = corpus(kind="synthetic", texts="questions", split=split)
        return {line.text for line in prepare._lines(one, Path())}

    train, dev, choose, report = map(texts, ("train", "dev", "choose", "report"))
    assert len(train) > 20 * len(dev) > 1000
    assert not train & dev
    assert choose | report == dev
    assert not choose & report
    assert min(len(choose), len(report)) > 0.4 * len(dev)
