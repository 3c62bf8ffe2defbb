"""Both stages on the tiny preset: they learn, and resume to the same numbers."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from assistant.config import ModelConfig
from assistant.ear.aligner import Aligner
from assistant.ear.ear import Ear
from assistant.errors import ConfigError
from assistant.files.weights import read_state
from assistant.model import load
from assistant.parts.build import build_ear
from assistant.parts.checkpoint import fit, read_trained, write_folder
from assistant.sound import recording
from lab import manifest
from lab.corpora.questions import arithmetic
from lab.corpora.texts import split_texts
from lab.features import FeatureStore, extract
from lab.manifest import Row
from lab.training import run
from lab.training.batches import batches, epoch_rows
from lab.training.config import StageConfig, load_stage
from lab.training.hear import audio_tokens
from lab.training.loop import Lead, drop_audio, mask
from lab.training.read import sums
from lab.training.run import run_stage

WORDS = ["on", "off", "up"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, tiny_config: ModelConfig) -> Path:
    """Twelve short recordings, three words told by their pitch, and their features."""
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(12):
        word = i % 3
        time = np.arange(16_000 + 1000 * i) / 16_000
        samples = 0.3 * np.sin(2 * np.pi * (300 + 700 * word) * time)
        samples += 0.01 * rng.standard_normal(len(time))
        soundfile.write(folder / f"{i}.wav", samples, 16_000)
        rows.append(Row(audio=f"{i}.wav", answer=WORDS[word], text=WORDS[word]))
    manifest.write(folder / "manifest.jsonl", rows)
    done = list(extract(tiny_config, folder / "manifest.jsonl", folder / "features" / "all", 1))
    assert done == list(range(1, 13))
    return folder


def stage(kind: str, epochs: int, **changes: object) -> StageConfig:
    values = {
        "preset": "tiny", "stage": kind, "train": [{"store": "all"}], "watch": {"all": 6},
        "epochs": epochs, "batch": 4, "learning_rate": 0.01, "warmup_steps": 5, "threads": 1,
        "bfloat16": False,
    }  # fmt: skip
    return StageConfig.model_validate({**values, **changes})


def losses(run: Path) -> list[float]:
    return [float(line.split(",")[1]) for line in (run / "log.csv").read_text().splitlines()[1:]]


def test_a_store_gives_back_what_was_extracted(runs: Path) -> None:
    store = FeatureStore(runs / "features" / "all")
    assert len(store) == 12
    assert [row.answer for row in store.rows[:3]] == WORDS
    assert store.features(0).shape == (64, 64)  # 1 s: 4 windows of 16; Whisper 32 and BEATs 32
    assert store.features(11).shape[0] == store.length(11) == 96


def test_extraction_resumes(runs: Path, tiny_config: ModelConfig, tmp_path: Path) -> None:
    whole = runs / "features" / "all"
    np.save(tmp_path / "lengths.npy", np.load(whole / "lengths.npy")[:5])
    (tmp_path / "features.f16").write_bytes((whole / "features.f16").read_bytes()[:-1000])
    list(extract(tiny_config, runs / "manifest.jsonl", tmp_path, 1))
    ours, theirs = FeatureStore(tmp_path), FeatureStore(whole)
    assert all(torch.equal(ours.features(i), theirs.features(i)) for i in range(12))


def test_ctc_then_reading_learn_the_words(runs: Path, tiny_config: ModelConfig) -> None:
    run_stage(tiny_config, stage("ctc", 40), runs, "one")
    found = losses(runs / "one")
    assert found[-1] < 0.3 * found[0]
    run_stage(tiny_config, stage("read", 30, start_from="one"), runs, "two")
    found = losses(runs / "two")
    assert found[-1] < 0.5 * found[0]
    figures = (runs / "two" / "figures.csv").read_text().splitlines()
    assert figures[0] == "epoch,step,all"
    assert len(figures) == 31


def test_an_interrupted_run_ends_with_the_same_weights(
    runs: Path, tiny_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_stage(tiny_config, stage("ctc", 4), runs, "whole")

    from lab.training import loop

    real, count = loop.learning_rate, iter(range(100))

    def stop_at_seven(step: int, total: int, config: StageConfig) -> float:
        if next(count) == 7:
            raise KeyboardInterrupt
        return real(step, total, config)

    monkeypatch.setattr(loop, "learning_rate", stop_at_seven)
    hasty = stage("ctc", 4, checkpoint_minutes=1e-9)
    with pytest.raises(KeyboardInterrupt):
        run_stage(tiny_config, hasty, runs, "cut")
    run_stage(tiny_config, hasty, runs, "cut")
    ours = read_state(runs / "cut" / "state.pt")
    theirs = read_state(runs / "whole" / "state.pt")
    assert ours["step"] == theirs["step"] == 12
    for name, tensor in theirs["parameters"].items():
        assert torch.equal(ours["parameters"][name], tensor), name


@pytest.mark.parametrize("size", [1, 4, 5, 100])
def test_an_epoch_hears_every_row_as_often_as_it_should(size: int) -> None:
    lengths = [5, 1, 9, 9, 3, 2, 7]
    rows = epoch_rows([3, 4], [2.0, 1.5], seed=1, epoch=0)
    assert [rows.count(i) for i in range(3)] == [2, 2, 2]
    assert sorted(rows.count(i) for i in range(3, 7)) == [1, 1, 2, 2]
    groups = batches(rows, lengths, size, seed=1, epoch=0)
    heard = [row for group in groups for row in group]
    assert sorted(heard) == sorted(rows)
    assert all(len(group) <= size for group in groups)
    assert groups == batches(rows, lengths, size, seed=1, epoch=0)
    if size == 1:
        assert groups != batches(rows, lengths, size, seed=1, epoch=1)


def test_parts_of_a_store_change_from_epoch_to_epoch() -> None:
    heard = [epoch_rows([100], [0.25], seed=1, epoch=e) for e in range(3)]
    assert [len(set(rows)) for rows in heard] == [25, 25, 25]
    assert heard[0] != heard[1] != heard[2]
    assert epoch_rows([100], [0.25], seed=1, epoch=1) == heard[1]


def test_masks_cover_about_their_share_in_spans() -> None:
    torch.manual_seed(0)
    features = torch.ones(20_000, 3)
    masked = mask(features, 0.1) == 0
    assert (masked.all(1) == masked.any(1)).all()
    assert 0.08 < masked.float().mean() < 0.11
    starts = (masked[1:, 0] & ~masked[:-1, 0]).sum()
    assert masked[:, 0].sum() / starts >= 6
    assert torch.equal(mask(features, 0.0), features)


def test_the_audio_encoder_is_silenced_in_its_share_of_the_rows() -> None:
    torch.manual_seed(0)
    features = torch.ones(4, 5)
    drawn = [drop_audio(features, 3, 0.4) for _ in range(500)]
    silent = [f for f in drawn if not f[:, 3:].any()]
    assert 0.35 < len(silent) / len(drawn) < 0.45
    assert all(f.shape == (4, 5) and f[:, :3].all() for f in drawn)
    assert all(torch.equal(f, features) for f in drawn if f[:, 3:].any())
    assert torch.equal(drop_audio(features, 3, 0.0), features)


def test_only_stages_with_two_encoders_silence_one() -> None:
    with pytest.raises(ValueError, match="audio_dropout: stage events"):
        stage("events", 1, audio_dropout=0.5)


def test_the_ear_is_built_once(
    runs: Path, tiny_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[int] = []

    def build(config: ModelConfig) -> Ear:
        built.append(build_ear(config).speech_encoder.width)
        return build_ear(config)

    widths: list[int] = []
    monkeypatch.setattr(run, "build_ear", build)
    monkeypatch.setattr(run, "train", lambda *given: widths.append(given[-1]))
    run_stage(tiny_config, stage("ctc", 1, audio_dropout=0.5), runs, "once")
    assert len(built) == 1
    assert widths == built


def test_silencing_an_encoder_changes_what_is_learned(runs: Path, tiny_config: ModelConfig) -> None:
    both, one = (
        losses(run_stage(tiny_config, stage("ctc", 8, audio_dropout=share), runs, f"drop-{share}"))
        for share in (0.0, 0.9)
    )
    assert len(both) == len(one) == 1
    assert both != one


def test_a_lead_is_whole_windows_before_all_of_the_recording(runs: Path) -> None:
    torch.manual_seed(0)
    store = FeatureStore(runs / "features" / "all")
    recording = torch.full((48, 64), 7.0)
    lengths = set()
    for _ in range(60):
        found = Lead(store, 0.5, features=40, window=16).before(recording)
        assert torch.equal(found[-48:], recording)
        lengths.add(len(found) - 48)
    assert lengths == {0, 16, 32}


def test_a_broken_manifest_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"audio": "a.wav", "answer": "x"}\n{"audio": "b.wav"}\n')
    with pytest.raises(ConfigError, match=r"m\.jsonl:2: answer: "):
        manifest.read(path)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ('"offset": -1', "offset: "),
        ('"offset": "7"', "offset: "),
        ('"length": 0', "length: "),
        ('"length": 1.5', "length: "),
        ('"key": null', "key: "),
        ('"text": 3', "text: "),
        ('"colour": "red"', "colour: "),
        ('"text"', ".*JSON"),
    ],
)
def test_fields_of_a_row_are_checked(tmp_path: Path, more: str, field: str) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(f'{{"audio": "a.wav", "answer": "x", {more}}}\n')
    with pytest.raises(ConfigError, match=rf"m\.jsonl:1: {field}"):
        manifest.read(path)


def test_a_list_of_recordings_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    for read in (manifest.read, lambda path: manifest.entries(path.with_suffix(""))):
        path.unlink(missing_ok=True)
        with pytest.raises(ConfigError, match=r"m\.jsonl: No such file"):
            read(path)
        path.write_bytes(b"\xff\n")
        with pytest.raises(ConfigError, match=r"m\.jsonl: not UTF-8"):
            read(path)
        path.write_text("{\n")
        with pytest.raises(ConfigError, match=r"m\.jsonl:1: "):
            read(path)


def test_a_row_with_every_field_comes_back(tmp_path: Path) -> None:
    rows = [Row("a.wav", "x", "t\u2028u", "h", "k", "QA", "i", 1, 2, "s", "l", "dev"), Row("b", "")]
    manifest.write(tmp_path / "m.jsonl", rows)
    assert manifest.read(tmp_path / "m.jsonl") == rows


def test_an_unknown_key_of_a_stage_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("preset: nano\nstage: ctc\nepoch: 3\n")
    with pytest.raises(ConfigError, match=r"s\.yaml\.epoch: unknown key"):
        load_stage(tmp_path / "s.yaml")


def test_a_trained_model_answers_as_its_trainer_heard_it(
    runs: Path, tiny_config: ModelConfig, tmp_path: Path
) -> None:
    """From training to inference: stored features, checkpoint, folder, and the loaded ear."""
    run_stage(tiny_config, stage("ctc", 2), runs, "first")
    folder = run_stage(tiny_config, stage("read", 9, steps=4, start_from="first"), runs, "second")
    weights = fit(read_trained(folder / "state.pt"), tiny_config, "second")
    assert (weights.aligner["ln_speech.weight"] == 1).all()  # the Q-Former's products do its work
    write_folder(tmp_path / "ours", weights, {"preset": "tiny"})
    model = load(tiny_config.model_copy(update={"checkpoint": str(tmp_path / "ours")}))
    aligner, store = model.ear.aligner, FeatureStore(runs / "features" / "all")
    assert isinstance(aligner, Aligner)
    for i in range(3):
        tokens = audio_tokens(aligner, [store.features(i)])[0]
        samples = recording.load(runs / f"{i}.wav")
        heard = model.ear.hear(torch.from_numpy(samples))
        cosine = torch.nn.functional.cosine_similarity(heard, tokens)
        assert cosine.min() > 0.99  # features were stored in fp16, made in bf16


def test_features_of_other_settings_are_not_mixed(
    runs: Path, tiny_config: ModelConfig, tmp_path: Path
) -> None:
    manifest.write(tmp_path / "manifest.jsonl", [])
    list(extract(tiny_config, tmp_path / "manifest.jsonl", tmp_path / "store", 1))
    encoding = tiny_config.encoding.model_copy(update={"block_windows": 4})
    other = tiny_config.model_copy(update={"encoding": encoding})
    with pytest.raises(ConfigError, match="made with other settings"):
        list(extract(other, tmp_path / "manifest.jsonl", tmp_path / "store", 1))


def test_figures_lost_to_an_interruption_are_made_up_for(
    runs: Path, tiny_config: ModelConfig
) -> None:
    run_stage(tiny_config, stage("ctc", 2), runs, "figures")
    path = runs / "figures" / "figures.csv"
    whole = path.read_text()
    path.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    run_stage(tiny_config, stage("ctc", 2), runs, "figures")
    assert path.read_text() == whole


def test_a_stage_with_a_lead_and_text_learns(runs: Path, tiny_config: ModelConfig) -> None:
    lead = {"store": "all", "share": 0.5, "windows": 2}
    run_stage(tiny_config, stage("ctc", 20), runs, "before")
    changes = {"lead": lead, "text_share": 0.3, "start_from": "before", "bfloat16": True}
    run_stage(tiny_config, stage("read", 30, **changes), runs, "with-lead")
    found = losses(runs / "with-lead")
    assert found[-1] < found[0]
    with pytest.raises(ConfigError, match="no nothing"):
        run_stage(tiny_config, stage("ctc", 1, lead={**lead, "store": "nothing"}), runs, "x")


def test_sums_are_learned_as_text_beside_recordings(runs: Path, tiny_config: ModelConfig) -> None:
    known = {row.text: row.answer for row in sums()}
    kept, held_out = split_texts(sorted({a.text for a in arithmetic()}))
    assert sorted(known) == kept
    assert held_out
    run_stage(tiny_config, stage("read", 1), runs, "no-sums")
    nothing_else = {"ctc_weight": 1.0, "ctc_alone": {"transcriptions": 1.0, "others": 1.0}}
    changes = {"start_from": "no-sums", "learning_rate": 0.01, "text_sums": 4, **nothing_else}
    run_stage(tiny_config, stage("read", 15, **changes), runs, "sums")
    before, after = (read_state(runs / n / "state.pt")["parameters"] for n in ("no-sums", "sums"))
    adapters = [name for name in before if ".lora_B." in name]
    assert not any(torch.equal(after[name], before[name]) for name in adapters)
    assert losses(runs / "sums")[-1] < losses(runs / "sums")[0]


def test_a_later_stage_goes_on_with_aligner_and_adapters(
    runs: Path, tiny_config: ModelConfig
) -> None:
    run_stage(tiny_config, stage("read", 20), runs, "reading")
    last = losses(runs / "reading")[-1]
    slowly = {"start_from": "reading", "learning_rate": 1e-9, "seed": 3}
    run_stage(tiny_config, stage("read", 7, **slowly), runs, "going-on")
    assert losses(runs / "going-on")[0] == pytest.approx(last, rel=0.5)
    ours, theirs = (
        read_state(runs / n / "state.pt")["parameters"] for n in ("going-on", "reading")
    )
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, atol=1e-5, rtol=0)
    assert any(".lora_B." in name and tensor.any() for name, tensor in ours.items())


def test_transcriptions_can_be_left_to_ctc(runs: Path, tiny_config: ModelConfig) -> None:
    run_stage(tiny_config, stage("read", 1), runs, "untrained")
    all_rows = {"transcriptions": 1.0}
    with_ctc = {"ctc_weight": 1.0, "start_from": "untrained", "learning_rate": 0.01}
    run_stage(tiny_config, stage("read", 20, ctc_alone=all_rows, **with_ctc), runs, "alone")
    run_stage(tiny_config, stage("read", 2, **with_ctc), runs, "both")
    found = losses(runs / "alone")
    assert found[-1] < 0.5 * found[0]
    before, alone, both = (
        read_state(runs / n / "state.pt")["parameters"] for n in ("untrained", "alone", "both")
    )
    adapters = [name for name in before if ".lora_" in name]
    assert all(torch.equal(alone[name], before[name]) for name in adapters)
    assert not all(torch.equal(both[name], before[name]) for name in adapters)
    assert not torch.equal(alone["aligner.projection.weight"], before["aligner.projection.weight"])
    weights = fit(read_trained(runs / "both" / "state.pt"), tiny_config, "both")
    assert weights.leftover == ["ctc.blank", "ctc.log_name_scale", "ctc.log_scale"]


def test_the_next_stage_goes_on_with_the_head_of_ctc(runs: Path, tiny_config: ModelConfig) -> None:
    run_stage(tiny_config, stage("ctc", 3), runs, "head")
    slowly = {"start_from": "head", "learning_rate": 1e-9, "seed": 3, "ctc_weight": 1.0}
    before = read_state(runs / "head" / "state.pt")["parameters"]
    for kind in ("ctc", "read"):
        run_stage(tiny_config, stage(kind, 1, **slowly), runs, f"head-{kind}")
        after = read_state(runs / f"head-{kind}" / "state.pt")["parameters"]
        for name in ("ctc.blank", "ctc.log_scale", "ctc.log_name_scale"):
            torch.testing.assert_close(after[name], before[name], atol=1e-5, rtol=0)


@pytest.mark.filterwarnings("ignore")  # of inductor's own code
def test_a_compiled_stage_learns_the_same(
    runs: Path, tiny_config: ModelConfig, tmp_path: Path
) -> None:
    """Up to rounding: inductor adds in another order."""
    qformer = tiny_config.aligner.qformer.model_copy(update={"dropout": 0.0})
    aligner = tiny_config.aligner.model_copy(update={"qformer": qformer})
    model = tiny_config.model_copy(update={"aligner": aligner})
    (tmp_path / "features").symlink_to(runs / "features")
    learned = []
    for compiled in (False, True):
        wanted = stage("read", 9, steps=2, compile=compiled, ctc_weight=0.5)
        folder = run_stage(model, wanted, tmp_path, str(compiled))
        learned.append(read_state(folder / "state.pt")["parameters"])
        assert (folder / "figures.csv").read_text().count("\n") == 2
    differences = [(learned[1][k] - tensor).abs().flatten() for k, tensor in learned[0].items()]
    assert torch.cat(differences).mean() < 0.01 * wanted.learning_rate


def test_only_stages_with_layers_are_compiled() -> None:
    with pytest.raises(ValueError, match="compile: stage events"):
        stage("events", 1, compile=True)


def test_a_run_does_not_go_on_with_other_settings(runs: Path, tiny_config: ModelConfig) -> None:
    run_stage(tiny_config, stage("ctc", 1), runs, "begun")
    other = {"threads": 2, "checkpoint_minutes": 9.0, "watch": {"all": 3}}
    run_stage(tiny_config, stage("ctc", 1, **other), runs, "begun")
    with pytest.raises(ConfigError, match=r"learning_rate: .*state\.pt was begun with 0\.01"):
        run_stage(tiny_config, stage("ctc", 1, learning_rate=0.02, seed=2), runs, "begun")
    twice = [{"store": "all", "times": 2.0}]
    with pytest.raises(ConfigError, match=r"train: .*'times': 1\.0"):
        run_stage(tiny_config, stage("ctc", 1, train=twice), runs, "begun")
    state = read_state(runs / "begun" / "state.pt")
    del state["config"]  # as earlier versions saved it
    (runs / "earlier").mkdir()
    torch.save(state, runs / "earlier" / "state.pt")
    run_stage(tiny_config, stage("ctc", 1, learning_rate=0.02), runs, "earlier")


def test_held_out_rows_are_not_trained_on(runs: Path, tiny_config: ModelConfig) -> None:
    whole, held_out = runs / "features" / "all", runs / "features" / "held-out"
    shutil.copytree(whole, held_out, dirs_exist_ok=True)
    rows = manifest.read(whole / "manifest.jsonl")
    manifest.write(held_out / "manifest.jsonl", [*rows[:-1], replace(rows[-1], split="dev")])
    run_stage(tiny_config, stage("ctc", 1, watch={"held-out": 2}), runs, "watching")
    lead = {"store": "held-out", "share": 0.5, "windows": 2}
    for changes in ({"train": [{"store": "held-out"}]}, {"lead": lead}):
        with pytest.raises(ConfigError, match=f"{next(iter(changes))}: held-out has rows of split"):
            run_stage(tiny_config, stage("ctc", 1, **changes), runs, "peeping")


def test_missing_features_are_named(runs: Path, tiny_config: ModelConfig) -> None:
    with pytest.raises(ConfigError, match="no nothing; make them with `salmonn-live data`"):
        run_stage(tiny_config, stage("ctc", 1, train=[{"store": "nothing"}]), runs, "x")
