"""`eval` on the tiny model: every system answers, figures are counted, reports are written."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import soundfile
import whisper

from assistant.config import ModelConfig
from assistant.errors import ConfigError
from assistant.model import load
from lab import manifest
from lab.corpora import mixtures
from lab.corpora.mixtures import MixtureMaker
from lab.corpora.sounds import Sound
from lab.corpora.synth import Line
from lab.corpora.voices import Voice
from lab.evaluation.report import check_files, plot, table, write_json
from lab.evaluation.run import Answered, Result, evaluate, figure, invents
from lab.evaluation.sets import HEARS, MADE, EvalSet, Half, coffee_orders, named_sets, own_set
from lab.evaluation.systems import Cascade, Offline, Streamed, System, TextOracle, Transcriber
from lab.manifest import Row, half
from lab.score import right


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
    oracle = TextOracle(model.llm, model.prompt, greedy)
    systems: list[System] = [Offline(model, greedy), Streamed(model, greedy), oracle]
    steps: list[int] = []
    results = evaluate(own_set(own, 10), {s.name: s for s in systems}, lambda: steps.append(1))
    assert [r.system for r in results] == ["offline", "streamed", "text oracle"]
    assert len(steps) == 3
    assert [a.text for a in results[0].answers] == [a.text for a in results[1].answers]
    assert any(a.text for a in results[0].answers)


def test_both_cascades_answer_the_same_transcript(tiny_config: ModelConfig) -> None:
    weights = {"weights": ["toy:7"]}
    other = tiny_config.model_copy(update={"llm": tiny_config.llm.model_copy(update=weights)})
    reader = SimpleNamespace(answer=lambda row, samples, instruction: "go on")
    answers = {}
    for name, model in (("cascade", load(tiny_config)), ("bare cascade", load(other))):
        oracle = TextOracle(model.llm, model.prompt, tiny_config.generation)
        cascade = Cascade(name, reader, oracle)  # type: ignore[arg-type]
        answers[cascade.name] = cascade.answer(Row("a", ""), np.zeros(1, np.float32), "")
        assert answers[name] == oracle.reply("go on", "")
    assert answers["cascade"] != answers["bare cascade"]


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


def test_a_recording_with_anything_invented_counts_once() -> None:
    spoken, asked = Row("a", ""), Row("a", "", task="QA", instruction="What is this sound?")
    other, quiet = replace(asked, audio="b"), "There is no speech."
    assert judged("silent", (spoken, "Thank you."), (asked, "A dog."), (other, "Noise.")) == 50
    assert judged("silent", (spoken, quiet), (asked, "Thunder."), (other, "Noise.")) == 50
    assert judged("silent", (spoken, "Thank you."), (asked, "Noise."), (other, "Noise.")) == 50
    assert judged("silent", (spoken, quiet), (replace(asked, offset=9), "Rain.")) == 50
    assert judged("silent", (spoken, quiet), (asked, "Noise."), (other, "Noise.")) == 0


@pytest.mark.parametrize(
    ("task", "answer", "is_false"),
    [
        ("asr", "There is no speech.", False),
        ("asr", "", False),
        ("asr", "Thank you.", True),
        ("QA", "Just noise.", False),
        ("QA", "I heard no sound.", False),
        ("QA", "A dog barking.", True),
        ("QA", "Rain.", True),
        ("QA", "That was thunder.", True),
        ("QA", "I hear music.", True),
        ("QA", "A helicopter.", True),
        ("QA", "Waves.", True),
        ("QA", "Footsteps.", True),
        ("QA", "A cat.", True),
        ("QA", 'Someone says "hello".', True),
        ("QA", "There is no speech.", False),
    ],
)
def test_what_counts_as_invented(task: str, answer: str, is_false: bool) -> None:
    assert invents(Answered(Row("", "", task=task), answer)) is is_false


def test_orders_keep_every_slot(tmp_path: Path) -> None:
    line = {"file": "a.opus", "slots": {"size": "small", "milkAmount": " soy milk"}}
    (tmp_path / "orders.jsonl").write_text(json.dumps(line) + "\n")
    chosen, reported = (coffee_orders(tmp_path / "orders", w) for w in get_args(Half))
    (row,) = chosen + reported  # in one of the halves
    assert row.split == half("a.opus")
    assert (row.key, row.task, row.audio) == (
        "small;soy milk", "listen", str(tmp_path / "orders" / "a.opus"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "sing"}, r"own\.jsonl:2: task: unknown task 'sing'"),
        ({"task": "QA"}, r"own\.jsonl:2: task: .*needs a question"),
        ({"key": ""}, r"own\.jsonl:2: key: "),
        ({"audio": "no.wav"}, r"own\.jsonl:2: audio: .*no such file"),
        ({"audio": "own.jsonl"}, r"own\.jsonl:2: audio: .*not readable"),
        ({"offset": 19_000}, r"own\.jsonl:2: offset: 19000 is past the end"),
        ({"length": "all"}, r"own\.jsonl:2: length: "),
    ],
)
def test_a_row_that_cannot_be_judged_is_named(
    own: Path, change: dict[str, object], message: str
) -> None:
    first, second, *others = [asdict(row) for row in manifest.read(own)]
    lines = [json.dumps(line) for line in (first, {**second, **change}, *others)]
    own.write_text("\n".join(lines) + "\n")
    with pytest.raises(ConfigError, match=message):
        own_set(own, 1)  # rows that will not be asked are checked, too


def test_a_manifest_that_cannot_be_judged_is_named(own: Path) -> None:
    manifest.write(own, [replace(row, key="", answer="!") for row in manifest.read(own)])
    with pytest.raises(ConfigError, match=r"own\.jsonl:1: answer: "):
        own_set(own, 1)
    with pytest.raises(ConfigError, match=r"none\.jsonl: No such file"):
        own_set(own.with_name("none.jsonl"), 1)


def test_an_instruction_of_its_own_needs_no_known_task(own: Path) -> None:
    manifest.write(own, [replace(r, task="x", instruction="Sing.") for r in manifest.read(own)])
    assert len(own_set(own, 10).rows) == 3


def test_mixtures_are_keyed_by_order_and_by_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = [Sound(tmp_path, label, "r", "dev", "CC0") for label in ("rain", "siren")]
    monkeypatch.setattr(mixtures, "sounds_of", lambda folder, split: heard)
    lines = [Line("is there rain", "is there rain")]
    maker = MixtureMaker(tmp_path, "dev", lines, (Voice("none", "none"),), seed=1)
    rows = [row for index in range(200) for row in maker.rows(index)]
    both = {row.key for row in rows if row.answer.startswith("First ")}
    described = {row.key for row in rows if row.task == "audio_speech_description"}
    assert both == {"rain>siren", "siren>rain"}
    assert described == {"is there rain;rain", "is there rain;siren"}
    assert all(right(row.answer, row.key) for row in rows if row.key)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Manifests of all corpora, and an empty list of real speech and of orders."""
    nobody = [Row(f"{i}.flac", "", task=task) for i in range(5) for task in ("asr", "QA")]
    mixed = [
        Row("0", "A dog.", text="(dog barking) what was that", key="dog barking", task=task,
            instruction=ask, speaker=kind)
        for task, ask, kind in (("listen", "", "ask"), ("QA", "What?", "ask"), ("QA", "?", "two"))
    ]  # fmt: skip
    rows = {"nobody": nobody, "mixtures": mixed}
    for name in MADE:
        manifest.write(tmp_path / name / "manifest.jsonl", rows.get(name, []))
    (tmp_path / "speech").mkdir()
    for name in ("speechocean762", "coffee-orders"):
        (tmp_path / "speech" / f"{name}.jsonl").write_text("")
    return tmp_path


def folders(made: Path) -> dict[str, Path]:
    return {name: made / name for name in MADE}


def test_where_the_text_is_known_the_oracle_reads_it(made: Path) -> None:
    sets = {s.name: s for s in named_sets(made, folders(made), 100, "report")}
    read = {name for name, chosen in sets.items() if "text oracle" in chosen.systems}
    assert read == {"questions", "asked", "typed", "mixtures"}
    assert all(sets[name].rows[0].text.startswith("(dog") for name in ("asked", "mixtures"))


def test_silent_recordings_are_asked_about_whole(made: Path) -> None:
    (silence,) = [s for s in named_sets(made, folders(made), 5, "report") if s.name == "silence"]
    assert [(r.audio, r.task) for r in silence.rows] == [
        (audio, task) for audio in ("0.flac", "2.flac", "4.flac") for task in ("asr", "QA")
    ]  # fmt: skip


def test_a_corpus_that_is_missing_is_named(made: Path) -> None:
    (made / "sounds" / "manifest.jsonl").unlink()
    with pytest.raises(ConfigError, match=r"sounds/manifest\.jsonl: No such file"):
        named_sets(made, folders(made), 5, "report")


def test_the_transcript_of_one_recording_is_not_that_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[float] = []

    def decode(model: object, mel: object, options: object) -> SimpleNamespace:
        read.append(0.0)
        return SimpleNamespace(text=f" {len(read)}")

    whisper_model = SimpleNamespace(load_state_dict=lambda *a, **k: 0)
    whisper_model.eval = lambda: whisper_model
    monkeypatch.setattr(whisper, "Whisper", lambda dims: whisper_model)
    monkeypatch.setattr(whisper, "decode", decode)
    transcriber = Transcriber(SimpleNamespace(dims=SimpleNamespace(n_mels=80), state={}))  # type: ignore[arg-type]
    one, other = np.zeros(1600, np.float32), np.ones(1600, np.float32)
    row = Row("a.wav", "")  # the same name and stretch, of another set
    answers = [transcriber.answer(row, samples, "") for samples in (one, one.copy(), other, one)]
    assert answers == ["1", "1", "2", "3"]


def test_a_set_that_nobody_can_be_asked_about_has_no_results(own: Path) -> None:
    assert evaluate(replace(own_set(own, 10), rows=[Row("no.wav", "")]), {}, lambda: None) == []
    report: Callable[[], object]
    for report in (lambda: table([]), lambda: plot([], own.with_name("r.png"))):
        with pytest.raises(ConfigError, match="--systems"):
            report()


@pytest.mark.parametrize(
    ("json_name", "plot_name", "message"),
    [
        ("no/r.json", None, r"--json: .*no: no such folder"),
        (".", None, r"--json: .*is a folder"),
        (None, "no/r.png", r"--plot: .*no such folder"),
        (None, "r.txt", r"--plot: .*needs to end in \.png"),
    ],
)
def test_files_that_cannot_be_written_are_named(
    tmp_path: Path, json_name: str | None, plot_name: str | None, message: str
) -> None:
    check_files(tmp_path / "r.json", tmp_path / "r.svg")
    check_files(None, None)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match=message):
        check_files(*(None if name is None else tmp_path / name for name in (json_name, plot_name)))


def test_the_table_tells_recordings_and_the_share_of_the_oracle() -> None:
    rows = [Row("a", "", key="dog"), Row("a", "", key="cat")]
    answers = [Answered(row, "") for row in rows]
    asked = EvalSet("asked", "asked: right", "right", rows, Path(), ())
    read = EvalSet("read", "read: WER", "wer", rows, Path(), ())
    results = [
        Result(chosen, name, figure, answers)
        for chosen in (asked, read)
        for name, figure in (("offline", 40.0), ("streamed", 60.0), ("text oracle", 80.0))
    ]
    shown = {str(c.header): list(c.cells) for c in table(results).columns}
    assert (shown["recordings"], shown["of oracle"]) == (["1", "1"], ["75", ""])
    unheard = [r for r in results if r.system != "streamed"]
    assert [next(iter(c.cells)) for c in table(unheard).columns][-1] == "50"


def test_reports(tmp_path: Path) -> None:
    rows = [Row("a.wav", "", key="rain"), Row("b.wav", "", text="la", key="music", speaker="x")]
    sounds = EvalSet("sounds", "sounds: right", "right", rows, Path(), HEARS)
    answers = [Answered(rows[0], "Rain."), Answered(rows[1], "Rain.")]
    results = [Result(sounds, name, 50.0, answers) for name in HEARS]
    assert table(results).row_count == 1
    write_json(results, tmp_path / "r.json")
    kept = json.loads((tmp_path / "r.json").read_text())
    assert [(r["system"], r["percent"]) for r in kept] == [("offline", 50.0), ("streamed", 50.0)]
    assert (kept[0]["rows"], kept[0]["recordings"]) == (2, 2)
    assert kept[0]["answers"][1] == {
        "audio": "b.wav", "task": "asr", "speaker": "x", "said": "la", "expected": "music",
        "answer": "Rain.",
    }  # fmt: skip
    plot(results, tmp_path / "r.png")
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
