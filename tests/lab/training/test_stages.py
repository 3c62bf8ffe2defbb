"""The stages on the tiny preset: they learn, each in its way."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
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
from lab.features import FeatureStore
from lab.training import run
from lab.training.hear import audio_tokens
from lab.training.read import sums
from tests.lab.training.toy import losses, stage, train


def test_ctc_then_reading_learn_the_words(runs: Path, tiny_config: ModelConfig) -> None:
    train(tiny_config, stage("ctc", 40), runs, "one")
    found = losses(runs / "one")
    assert found[-1] < 0.3 * found[0]
    train(tiny_config, stage("read", 30, start_from="one"), runs, "two")
    found = losses(runs / "two")
    assert found[-1] < 0.5 * found[0]
    figures = (runs / "two" / "figures.csv").read_text().splitlines()
    assert figures[0] == "epoch,step,all"
    assert len(figures) == 31


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
    train(tiny_config, stage("ctc", 1, audio_dropout=0.5), runs, "once")
    assert len(built) == 1
    assert widths == built


def test_silencing_an_encoder_changes_what_is_learned(runs: Path, tiny_config: ModelConfig) -> None:
    both, one = (
        losses(train(tiny_config, stage("ctc", 8, audio_dropout=share), runs, f"drop-{share}"))
        for share in (0.0, 0.9)
    )
    assert len(both) == len(one) == 1
    assert both != one


def test_a_trained_model_answers_as_its_trainer_heard_it(
    runs: Path, tiny_config: ModelConfig, tmp_path: Path
) -> None:
    """From training to inference: stored features, checkpoint, folder, and the loaded ear."""
    train(tiny_config, stage("ctc", 2), runs, "first")
    folder = train(tiny_config, stage("read", 9, steps=4, start_from="first"), runs, "second")
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


def test_a_stage_with_a_lead_and_text_learns(runs: Path, tiny_config: ModelConfig) -> None:
    lead = {"store": "all", "share": 0.5, "windows": 2}
    train(tiny_config, stage("ctc", 20), runs, "before")
    changes = {"lead": lead, "text_share": 0.3, "start_from": "before", "bfloat16": True}
    train(tiny_config, stage("read", 30, **changes), runs, "with-lead")
    found = losses(runs / "with-lead")
    assert found[-1] < found[0]


def test_sums_are_learned_as_text_beside_recordings(runs: Path, tiny_config: ModelConfig) -> None:
    known = {row.text: row.answer for row in sums()}
    kept, held_out = split_texts(sorted({a.text for a in arithmetic()}))
    assert sorted(known) == kept
    assert held_out
    train(tiny_config, stage("read", 1), runs, "no-sums")
    nothing_else = {"ctc_weight": 1.0, "ctc_alone": {"transcriptions": 1.0, "others": 1.0}}
    changes = {"start_from": "no-sums", "learning_rate": 0.01, "text_sums": 4, **nothing_else}
    train(tiny_config, stage("read", 15, **changes), runs, "sums")
    before, after = (read_state(runs / n / "state.pt")["parameters"] for n in ("no-sums", "sums"))
    adapters = [name for name in before if ".lora_B." in name]
    assert not any(torch.equal(after[name], before[name]) for name in adapters)
    assert losses(runs / "sums")[-1] < losses(runs / "sums")[0]


def test_a_later_stage_goes_on_with_aligner_and_adapters(
    runs: Path, tiny_config: ModelConfig
) -> None:
    train(tiny_config, stage("read", 20), runs, "reading")
    last = losses(runs / "reading")[-1]
    slowly = {"start_from": "reading", "learning_rate": 1e-9, "seed": 3}
    train(tiny_config, stage("read", 7, **slowly), runs, "going-on")
    assert losses(runs / "going-on")[0] == pytest.approx(last, rel=0.5)
    ours, theirs = (
        read_state(runs / n / "state.pt")["parameters"] for n in ("going-on", "reading")
    )
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, atol=1e-5, rtol=0)
    assert any(".lora_B." in name and tensor.any() for name, tensor in ours.items())


def test_transcriptions_can_be_left_to_ctc(runs: Path, tiny_config: ModelConfig) -> None:
    train(tiny_config, stage("read", 1), runs, "untrained")
    all_rows = {"transcriptions": 1.0}
    with_ctc = {"ctc_weight": 1.0, "start_from": "untrained", "learning_rate": 0.01}
    train(tiny_config, stage("read", 20, ctc_alone=all_rows, **with_ctc), runs, "alone")
    train(tiny_config, stage("read", 2, **with_ctc), runs, "both")
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
    train(tiny_config, stage("ctc", 3), runs, "head")
    slowly = {"start_from": "head", "learning_rate": 1e-9, "seed": 3, "ctc_weight": 1.0}
    before = read_state(runs / "head" / "state.pt")["parameters"]
    for kind in ("ctc", "read"):
        train(tiny_config, stage(kind, 1, **slowly), runs, f"head-{kind}")
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
        folder = train(model, wanted, tmp_path, str(compiled))
        learned.append(read_state(folder / "state.pt")["parameters"])
        assert (folder / "figures.csv").read_text().count("\n") == 2
    differences = [(learned[1][k] - tensor).abs().flatten() for k, tensor in learned[0].items()]
    assert torch.cat(differences).mean() < 0.01 * wanted.learning_rate


def test_only_stages_with_layers_are_compiled() -> None:
    with pytest.raises(ValueError, match="compile: stage events"):
        stage("events", 1, compile=True)


@pytest.mark.parametrize("split", ["dev", "choose", "report"])
def test_held_out_rows_are_not_trained_on(runs: Path, tiny_config: ModelConfig, split: str) -> None:
    whole, held_out = runs / "features" / "all", runs / "features" / "held-out"
    shutil.copytree(whole, held_out, dirs_exist_ok=True)
    rows = manifest.read(whole / "manifest.jsonl")
    manifest.write(held_out / "manifest.jsonl", [*rows[:-1], replace(rows[-1], split=split)])
    train(tiny_config, stage("ctc", 1, watch={"held-out": 2}), runs, f"watching-{split}")
    lead = {"store": "held-out", "share": 0.5, "windows": 2}
    for changes in ({"train": {"held-out": 1.0}}, {"lead": lead}):
        key = next(iter(changes))
        with pytest.raises(ConfigError, match=f"{key}: held-out: has rows of split {split}"):
            train(tiny_config, stage("ctc", 1, **changes), runs, "peeping")


def test_a_stage_adapts_the_layers_it_names(runs: Path, tiny_config: ModelConfig) -> None:
    for name, adapters in (("preset", None), ("named", ["o_proj"])):
        train(tiny_config, stage("read", 1, adapters=adapters), runs, f"adapters-{name}")
        state = read_state(runs / f"adapters-{name}" / "state.pt")["parameters"]
        adapted = {key.split(".lora_")[0].split(".")[-1] for key in state if ".lora_" in key}
        assert adapted == set(adapters or ["q_proj", "v_proj"])


def test_the_scale_of_ctc_begins_where_the_stage_says(runs: Path, tiny_config: ModelConfig) -> None:
    for scale in (10.0, 40.0):
        slowly = {"ctc_scale": scale, "learning_rate": 1e-9}
        train(tiny_config, stage("ctc", 1, **slowly), runs, f"scale-{scale}")
        state = read_state(runs / f"scale-{scale}" / "state.pt")["parameters"]
        assert float(state["ctc.log_scale"].exp()) == pytest.approx(scale, rel=1e-4)
