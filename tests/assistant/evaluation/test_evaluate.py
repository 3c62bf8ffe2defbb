"""`eval` on the tiny model: every system answers, figures are counted, reports are written."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from assistant.config import ModelConfig
from assistant.errors import ConfigError
from assistant.evaluation.report import plot, table, write_json
from assistant.evaluation.run import Answered, Result, evaluate, figure, invents
from assistant.evaluation.sets import HEARS, EvalSet, coffee_orders, own_set
from assistant.evaluation.systems import Offline, Streamed, TextOracle
from assistant.model import load
from assistant.training import manifest
from assistant.training.manifest import Row


@pytest.fixture
def own(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(3):
        samples = rng.standard_normal(16_000 + 3_000 * i) * 0.1
        soundfile.write(tmp_path / f"{i}.wav", samples, 16_000)
        rows.append(Row(f"{i}.wav", "a dog", text="a dog", key="dog", task="listen"))
    manifest.write(tmp_path / "own.jsonl", rows)
    return tmp_path / "own.jsonl"


def test_streamed_and_offline_give_the_same_answers(own: Path, tiny_config: ModelConfig) -> None:
    model = load(tiny_config)
    greedy = tiny_config.generation
    systems = [Offline(model, greedy), Streamed(model, greedy), TextOracle(model, greedy)]
    steps: list[int] = []
    results = evaluate(own_set(own, 10), {s.name: s for s in systems}, lambda: steps.append(1))
    assert [r.system for r in results] == ["offline", "streamed", "text oracle"]
    assert len(steps) == 3
    assert [a.text for a in results[0].answers] == [a.text for a in results[1].answers]
    assert any(a.text for a in results[0].answers)


def test_a_manifest_without_keys_is_judged_by_word_error_rate(own: Path) -> None:
    rows = manifest.read(own)
    manifest.write(own, [Row(r.audio, r.answer) for r in rows])
    assert (own_set(own, 2).measure, len(own_set(own, 2).rows)) == ("wer", 2)
    assert own_set(own, 2).systems == HEARS
    manifest.write(own, [])
    with pytest.raises(ConfigError, match="no rows"):
        own_set(own, 2)


def judged(measure: str, *pairs: tuple[Row, str]) -> float:
    chosen = EvalSet("x", "x", measure, [], Path(), ())  # type: ignore[arg-type]
    return figure(chosen, [Answered(row, text) for row, text in pairs])


def test_figures() -> None:
    dog = Row("", "", key="dog barking")
    assert judged("right", (dog, "A dog."), (dog, "A cat.")) == 50
    order = Row("", "", key="small;latte")
    assert judged("parts", (order, "a small one"), (order, "one small latte")) == 75
    slots = Row("", "", key="sixteen ounce;soy milk;dark roast")
    assert judged("parts", (slots, "A 16 ounce latte with soy milk.")) == pytest.approx(200 / 3)
    assert judged("wer", (Row("", "turn on the light"), "turn on the lights")) == 25


@pytest.mark.parametrize(
    ("task", "answer", "is_false"),
    [
        ("asr", "There is no speech.", False),
        ("asr", "", False),
        ("asr", "Thank you.", True),
        ("QA", "Just noise.", False),
        ("QA", "I heard no sound.", False),
        ("QA", "A dog barking.", True),
    ],
)
def test_what_counts_as_invented(task: str, answer: str, is_false: bool) -> None:
    assert invents(Answered(Row("", "", task=task), answer)) is is_false


def test_orders_keep_every_slot(tmp_path: Path) -> None:
    line = {"file": "a.opus", "slots": {"size": "small", "milkAmount": " soy milk"}}
    (tmp_path / "orders.jsonl").write_text(json.dumps(line) + "\n")
    (row,) = coffee_orders(tmp_path / "orders")
    assert (row.key, row.task, row.audio) == (
        "small;soy milk", "listen", str(tmp_path / "orders" / "a.opus"),
    )  # fmt: skip


def test_reports(tmp_path: Path) -> None:
    rows = [Row("a.wav", "", key="rain"), Row("b.wav", "", key="music")]
    sounds = EvalSet("sounds", "sounds: right", "right", rows, Path(), HEARS)
    answers = [Answered(rows[0], "Rain."), Answered(rows[1], "Rain.")]
    results = [Result(sounds, name, 50.0, answers) for name in HEARS]
    assert table(results).row_count == 1
    write_json(results, tmp_path / "r.json")
    kept = json.loads((tmp_path / "r.json").read_text())
    assert [(r["system"], r["percent"]) for r in kept] == [("offline", 50.0), ("streamed", 50.0)]
    assert kept[0]["answers"][1] == {
        "audio": "b.wav", "task": "asr", "expected": "music", "answer": "Rain.",
    }  # fmt: skip
    plot(results, tmp_path / "r.png")
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
