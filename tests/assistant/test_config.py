"""The configuration: every key is known, typed and in range, or we stop and say which."""

import re
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
import yaml
from pydantic import TypeAdapter

from assistant.config import (
    AlignerConfig,
    EncodingConfig,
    GenerationConfig,
    LoraConfig,
    ModelConfig,
    QFormerConfig,
    Section,
)
from assistant.errors import ConfigError
from assistant.files.presets import load_preset, read_config, shipped_config, validate
from assistant.parts.build import device_of
from streaming.config_file import load_config
from tests.assistant.configs import PRESETS, TEXT, changed, load


def test_the_file_chooses_the_preset_unless_one_is_named(tmp_path: Path) -> None:
    assert load_preset(shipped_config())[0] == "small"
    path = changed(tmp_path, "preset", "tiny")
    assert load_preset(path)[0] == "tiny"
    assert load_preset(path, "nano")[0] == "nano"


SECTIONS: dict[str, type[Section]] = {
    "encoding": EncodingConfig,
    "aligner": AlignerConfig,
    "qformer": QFormerConfig,
    "lora": LoraConfig,
    "generation": GenerationConfig,
}

LAST_AND_FIRST_WRONG: list[tuple[str, Any, Any]] = [
    *((f"encoding.{key}", 30.0, 30.01) for key in ("left_context_s", "look_ahead_s", "pad_to_s")),
    *((f"encoding.{key}", 1500, 1501) for key in ("block_windows", "horizon_blocks")),
    *((f"aligner.{key}", 1500, 1501) for key in ("window_features", "stride_features", "queries")),
    ("aligner.token_length", 10_000.0, 10_000.1),
    ("aligner.qformer.layers", 128, 129),
    *((f"aligner.qformer.{key}", 65_536, 65_537) for key in ("width", "heads", "mlp_width")),
    ("llm.lora.rank", 65_536, 65_537),
    *((f"llm.lora.{key}", 10_000.0, 10_000.1) for key in ("alpha", "scale")),
    ("generation.max_new_tokens", 4096, 4097),
    ("generation.beams", 256, 257),
    ("generation.temperature", 2.0, 2.01),
    ("generation.repetition_penalty", 10.0, 10.01),
    ("generation.length_penalty", 10.0, 10.01),
    ("generation.length_penalty", -10.0, -10.01),
    ("generation.seed", 2**63 - 1, 2**63),
    ("generation.seed", 0, -1),
]
"""Key, the last value that is taken, the next one."""

WRONG = [
    # unknown keys, at every depth
    ("volume", 1),
    ("llm.colour", "red"),
    ("aligner.qformer.depth", 2),
    ("llm.lora.bias", "none"),
    # wrong types: nothing is converted
    ("aligner.queries", "2"),
    ("aligner.queries", 2.0),
    ("aligner.queries", True),
    ("aligner.queries", None),
    ("generation.sample", 1),
    ("generation.temperature", "warm"),
    ("prompt.bos", "yes"),
    ("prompt.template", 5),
    ("llm.weights", "models/llm"),
    ("llm.lora.targets", "q_proj"),
    ("llm.lora", 8),
    ("encoding", "cached"),
    ("device", 0),
    # not one of the choices
    ("encoding.mode", "streamed"),
    ("llm.dtype", "float64"),
    ("llm.quantisation", "3bit"),
    ("llm.placement", "double"),
    # one step out of range
    *((f"aligner.{key}", 0) for key in ("window_features", "stride_features", "queries")),
    *((f"aligner.qformer.{key}", 0) for key in ("layers", "width", "heads", "mlp_width")),
    *((f"encoding.{key}", 0) for key in ("block_windows", "horizon_blocks", "overlap_blocks")),
    *((f"generation.{key}", 0) for key in ("max_new_tokens", "beams", "repetition_penalty")),
    ("encoding.left_context_s", 0.0),
    ("encoding.look_ahead_s", -0.01),
    ("encoding.pad_to_s", -0.01),
    ("aligner.qformer.dropout", -0.01),
    ("aligner.qformer.dropout", 1.0),
    ("aligner.token_length", 0.0),
    ("llm.lora.rank", 0),
    ("llm.lora.alpha", 0.0),
    ("llm.lora.dropout", 1.0),
    ("llm.lora.scale", -0.01),
    ("generation.temperature", 0.0),
    ("generation.top_p", 0.0),
    ("generation.top_p", 1.01),
    ("generation.top_p", float("nan")),
    *((key, value) for key, _, value in LAST_AND_FIRST_WRONG),
    *((key, 10**400) for key, _, _ in LAST_AND_FIRST_WRONG),
    ("device", "cuda:100"),
]


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_a_wrong_value_is_an_error_that_names_its_key(
    tmp_path: Path, key: str, value: object
) -> None:
    with pytest.raises(ConfigError) as error:
        load(changed(tmp_path, f"presets.nano.{key}", value), "nano")
    assert str(error.value).startswith(f"presets.nano.{key}: ")


@pytest.mark.parametrize(("key", "value", "_"), LAST_AND_FIRST_WRONG)
def test_the_largest_value_is_taken(key: str, value: object, _: object) -> None:
    parent, last = key.split(".")[-2:]
    field = SECTIONS[parent].model_fields[last]  # alone: beside the preset's it need not make sense
    kind: Any = Annotated[field.annotation, *field.metadata]
    TypeAdapter(kind).validate_python(value, strict=True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("encoding.look_ahead_s", 0.0),
        ("encoding.pad_to_s", 0),
        ("encoding.overlap_blocks", 10),
        ("aligner.qformer.dropout", 0.0),
        ("aligner.qformer.dropout", 0.99),
        ("aligner.token_length", None),
        ("aligner.queries", 1),
        ("llm.lora", None),
        ("llm.lora.scale", 0.0),
        ("llm.lora.alpha", 32),
        ("generation.top_p", 1.0),
        ("generation.top_p", 0.01),
        ("generation.length_penalty", -1.0),
        ("checkpoint", None),
    ],
)
def test_the_last_value_in_range_is_taken(tmp_path: Path, key: str, value: object) -> None:
    found: Any = load(changed(tmp_path, f"presets.nano.{key}", value), "nano")
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value


@pytest.mark.parametrize(
    "key", ["speech_encoder", "audio_encoder", "llm", "llm.weights", "checkpoint"]
)
def test_what_has_no_default_must_be_there(tmp_path: Path, key: str) -> None:
    own = changed(tmp_path, "presets.mine", without(yaml.safe_load(TEXT)["presets"]["nano"], key))
    with pytest.raises(ConfigError, match=rf"^presets\.mine\.{re.escape(key)}: Field required$"):
        load(own, "mine")


def without(preset: Any, key: str) -> Any:
    """A preset that lacks a key."""
    *parents, last = key.split(".")
    section = preset
    for parent in parents:
        section = section[parent]
    del section[last]
    return preset


def test_every_wrong_key_is_named_at_once(tmp_path: Path) -> None:
    llm = {"weights": ["toy:3"], "dtyp": "float32", "lora": {"rank": 0}}
    with pytest.raises(ConfigError) as error:
        load(changed(tmp_path, "presets.tiny.llm", llm), "tiny")
    assert str(error.value).count("presets.tiny.llm.") == 2
    assert "presets.tiny.llm.dtyp: unknown key" in str(error.value)
    assert "presets.tiny.llm.lora.rank: " in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "where", "what"),
    [
        ("aligner", {"window_features": 12, "stride_features": 12}, "", "multiple of 8"),
        ("encoding.overlap_blocks", 11, ".encoding", "less than horizon_blocks"),
        ("prompt.template", "{instruction}", ".prompt", "{audio} exactly once"),
        ("prompt.template", "{audio}", ".prompt", "{instruction} exactly once"),
        ("prompt.template", "{audio}{audio}{instruction}", ".prompt", "{audio} exactly once"),
    ],
)
def test_keys_that_contradict_each_other_are_an_error(
    tmp_path: Path, key: str, value: object, where: str, what: str
) -> None:
    with pytest.raises(ConfigError) as error:
        load(changed(tmp_path, f"presets.nano.{key}", value), "nano")
    assert str(error.value).startswith(f"presets.nano{where}: ")
    assert what in str(error.value)


@pytest.mark.parametrize(("preset", "window"), [("nano", 16), ("salmonn-7b", 17)])
@pytest.mark.parametrize("step", [-1, 0, 1])
def test_windows_neither_overlap_nor_leave_gaps(
    tmp_path: Path, preset: str, window: int, step: int
) -> None:
    path = changed(tmp_path, f"presets.{preset}.aligner.stride_features", window + step)
    if step == 0:
        assert load(path, preset).aligner.window_features == window
        return
    message = (
        rf"^presets\.{preset}\.aligner: .*stride_features: {window + step} "
        rf"is not window_features \({window}\)"
    )
    with pytest.raises(ConfigError, match=message):
        load(path, preset)


@pytest.mark.parametrize("name", PRESETS)
def test_a_configuration_cannot_be_changed(name: str) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(shipped_config(), name).device = "cpu"


def test_a_file_may_say_only_what_it_changes(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("endpointing: { aggressiveness: 3 }\n")
    changed, shipped = load_config(tmp_path / "c.yaml"), load_config(shipped_config())
    assert changed.endpointing.aggressiveness == 3
    assert (changed.preset, changed.model) == (shipped.preset, shipped.model)


@pytest.mark.parametrize(
    ("preset", "section", "changes", "message"),
    [
        ("nano", "encoding", {"block_windows": 9}, "encoding.horizon_blocks: 11 blocks of 144"),
        ("nano", "encoding", {"silence_blocks": 12}, "encoding.silence_blocks: 12 blocks of 128"),
        ("nano", "encoding", {"look_ahead_windows": 1}, "look_ahead_windows: not with an audio_"),
        ("small", "encoding", {"look_ahead_windows": 6}, "look_ahead_windows: 96 features after"),
        ("salmonn-7b", "encoding", {"left_context_s": 28.0}, "encoding.left_context_s"),
        ("salmonn-7b", "encoding", {"pad_to_s": 31.0}, "encoding.pad_to_s"),
        ("salmonn-7b", "encoding", {"look_ahead_s": float("inf")}, "encoding.look_ahead_s"),
        ("nano", None, {"device": "gpu"}, "device"),
    ],
)
def test_what_whisper_or_the_machine_cannot_do_is_refused(
    preset: str, section: str | None, changes: dict[str, object], message: str
) -> None:
    values = read_config(shipped_config())["presets"][preset]
    changed = {**values, **changes}
    if section is not None:
        changed = {**values, section: {**values[section], **changes}}
    with pytest.raises(ConfigError, match=re.escape(message)):
        validate(ModelConfig, changed, f"presets.{preset}")


@pytest.mark.parametrize(("blocks", "fine"), [(11, True), (12, False)])
def test_the_horizon_is_thirty_seconds(blocks: int, fine: bool) -> None:
    values = read_config(shipped_config())["presets"]["nano"]
    changed = {**values, "encoding": {**values["encoding"], "horizon_blocks": blocks}}
    if fine:
        validate(ModelConfig, changed, "presets.nano")
    else:
        with pytest.raises(ConfigError, match="more than the 1500"):
            validate(ModelConfig, changed, "presets.nano")


def test_a_gpu_that_is_not_there_is_refused() -> None:
    if torch.cuda.is_available():
        return
    config = load_preset(shipped_config(), "tiny")[1].model_copy(update={"device": "cuda:0"})
    with pytest.raises(ConfigError, match="device: cuda:0 asked for, but PyTorch finds no GPU"):
        device_of(config)
