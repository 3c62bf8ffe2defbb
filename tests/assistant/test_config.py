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
from assistant.files.presets import load_preset, read_config, read_yaml, shipped_config, validate
from assistant.parts.build import device_of
from streaming.config_file import load_config

TEXT = shipped_config().read_text()
PRESETS = list(yaml.safe_load(TEXT)["presets"])
NOTHING = object()


def changed(folder: Path, key: str, value: object) -> Path:
    """The shipped file with one key set, or taken out where `value` is NOTHING."""
    values = yaml.safe_load(TEXT)
    *parents, last = key.split(".")
    section: Any = values
    for parent in parents:
        section = section[parent]
    if value is NOTHING:
        del section[last]
    else:
        section[last] = value
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def load(path: Path, name: str) -> ModelConfig:
    return load_preset(path, name)[1]


@pytest.mark.parametrize("name", PRESETS)
def test_every_shipped_preset_is_valid(name: str) -> None:
    assert load_preset(shipped_config(), name)[0] == name


def test_the_file_chooses_the_preset_unless_one_is_named(tmp_path: Path) -> None:
    assert load_preset(shipped_config())[0] == "small"
    path = changed(tmp_path, "preset", "tiny")
    assert load_preset(path)[0] == "tiny"
    assert load_preset(path, "nano")[0] == "nano"


@pytest.mark.parametrize("name", ["salmonn-7b", "salmonn-13b"])
def test_the_salmonn_presets_have_the_published_values(name: str) -> None:
    config = load(shipped_config(), name)
    assert config.aligner.model_dump() == {
        "window_features": 17,
        "stride_features": 17,
        "queries": 1,
        "transcript": False,
        "qformer": {"layers": 2, "width": 768, "heads": 12, "mlp_width": 3072, "dropout": 0.1},
        "token_length": None,
    }
    assert config.llm.lora is not None
    assert config.llm.lora.model_dump() == {
        "rank": 8,
        "alpha": 32.0,
        "dropout": 0.1,
        "targets": ["q_proj", "v_proj"],
        "scale": None,
    }
    assert config.generation.model_dump(exclude={"seed"}) == {
        "max_new_tokens": 200,
        "beams": 4,
        "sample": False,
        "temperature": 1.0,
        "top_p": 0.9,
        "repetition_penalty": 1.0,
        "length_penalty": 1.0,
    }
    assert config.prompt.template == "USER: <Speech>{audio}</Speech> {instruction}\nASSISTANT:"
    assert config.prompt.bos
    assert config.prompt.stop == ["</s>"]
    assert (config.encoding.mode, config.encoding.pad_to_s) == ("recompute", 30.0)


def test_the_salmonn_presets_name_the_published_parts() -> None:
    large, small = load(shipped_config(), "salmonn-13b"), load(shipped_config(), "salmonn-7b")
    assert large.llm.weights == ["models/vicuna-13b-v1.1", "hub:lmsys/vicuna-13b-v1.1"]
    assert small.llm.weights == ["models/vicuna-7b-v1.5", "hub:lmsys/vicuna-7b-v1.5"]
    assert (large.checkpoint, small.checkpoint) == (
        "models/salmonn_v1.pth",
        "models/salmonn_7b_v0.pth",
    )


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
    with pytest.raises(ConfigError, match=rf"^presets\.nano\.{re.escape(key)}: Field required$"):
        load(changed(tmp_path, f"presets.nano.{key}", NOTHING), "nano")


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


BOMB = b"a0: &a0 [x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 10)
)
"""Nine lists, each nine times the one before: 400 million values."""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("21:45", "21:45"),  # base 60 in YAML 1.1: 1305
        ("1:30.5", "1:30.5"),
        ("010", "010"),  # octal in YAML 1.1: 8
        ("0x1F", "0x1F"),
        ("2024-13-45", "2024-13-45"),
        ("2024-01-02", "2024-01-02"),
        ("9" * 5000, "9" * 5000),
        ("9" * 4000, 10**4000 - 1),
        ("-8", -8),
        ("1_000", 1000),
        ("0", 0),
        ("1.5", 1.5),
        ("-.5e+3", -500.0),
        ("-.inf", float("-inf")),
        ("yes", True),
        ("null", None),
        ("{<<: {a: 1, b: 2}, a: 3}", {"a": 3, "b": 2}),
    ],
)
def test_values_are_what_they_look_like(tmp_path: Path, text: str, value: object) -> None:
    (tmp_path / "c.yaml").write_text(f"key: {text}\n")
    assert read_yaml(tmp_path / "c.yaml")["key"] == value


def test_a_list_of_lists_in_a_known_key_is_shown_in_short(tmp_path: Path) -> None:
    lists = BOMB.split(b"\n")[:5]  # 6,561 values in the last one
    (tmp_path / "c.yaml").write_bytes(b"\n".join([b"presets:", *(b"  " + x for x in lists)]))
    with pytest.raises(ConfigError, match=r"^presets\.a4: .*got \[\[") as error:
        load_preset(tmp_path / "c.yaml", "a4")
    assert len(str(error.value)) < 400


def test_strange_keys_stay_on_one_line(tmp_path: Path) -> None:
    keys = '1: a\nfoo: b\n"new\\nline": c\n' + "x" * 500 + ": d\n"
    (tmp_path / "c.yaml").write_text(keys)
    with pytest.raises(ConfigError, match="^'1': unknown section; known: endpointing"):
        load_config(tmp_path / "c.yaml")
    (tmp_path / "c.yaml").write_text(
        "endpointing:\n" + "".join(f"  {k}\n" for k in keys.splitlines())
    )
    with pytest.raises(ConfigError, match="endpointing.1: unknown key; ") as error:
        load_config(tmp_path / "c.yaml")
    told = str(error.value)
    assert "endpointing.foo: unknown key" in told
    assert "endpointing.'new\\nline': unknown key" in told
    assert "\n" not in told
    assert len(told) < 400


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected sections, found NoneType"),
        (b"- nano\n", "expected sections, found list"),
        (b"nano", "expected sections, found str"),
        (b"preset: [", "not YAML"),
        (b"\tpreset: nano", "not YAML"),
        (b"preset: \xff", "not YAML \\(byte 8 is not UTF-8"),
        ("preset: nano".encode("utf-16"), "not YAML \\(byte 0 is not UTF-8"),
        ("preset: nano".encode("utf-16-le"), "not YAML \\(character 0x0000: special characters"),
        (b"a: 1\nb: \0", "not YAML \\(character 0x0000: special characters"),
        (b"a: 1\nb: 2\na: 3", "not YAML \\(line 3: the key 'a' stands twice"),
        (b"a: 1\nb:\n  - c: {d: 1, d: 2}", "not YAML \\(line 3: the key 'd' stands twice"),
        (b"a: " + b"[" * 3000, "not YAML \\(line 1: nested over 32 deep"),
        (b"\n".join(b" " * i + b"a:" for i in range(3000)), "not YAML \\(line 32: nested over 32"),
        (BOMB, "not YAML \\(line 6: more than 100,000 values"),
        (b"a: &a [*a]", "not YAML \\(line 1: an alias stands inside itself"),
        (b"a: *b", "not YAML \\(line 1: found undefined alias 'b'"),
        (b"a: !!python/object:os.system []", "not YAML \\(line 1: tags"),
        (b"a: !!int 21:45", "not YAML \\(line 1: tags"),
        (b'a: "\\U99999999"', "not YAML \\(OverflowError"),
        (b"a: b\n---\na: b", "not YAML \\(line 2: but found another document"),
        (b"[a]: b", "not YAML \\(line 1: found unhashable key"),
    ],
)
def test_a_file_that_is_no_configuration_is_an_error_that_names_it(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"^{re.escape(str(path))}: {message}") as error:
        read_yaml(path)
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(ConfigError, match=rf"^{re.escape(str(path))}: \w"):
            load_preset(path)


@pytest.mark.parametrize("presets", [None, ["nano"], "nano"])
def test_presets_of_another_kind_are_an_error(tmp_path: Path, presets: object) -> None:
    with pytest.raises(ConfigError, match="presets: expected a section"):
        load_preset(changed(tmp_path, "presets", presets))


@pytest.mark.parametrize("chosen", [None, "nanno", 7, ["nano"]])
def test_an_unknown_preset_is_an_error_that_lists_the_known(tmp_path: Path, chosen: object) -> None:
    with pytest.raises(ConfigError, match=r"preset: unknown .*; known: .*nano") as error:
        load_preset(changed(tmp_path, "preset", chosen))
    assert all(name in str(error.value) for name in PRESETS)


def test_an_empty_preset_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^presets\.nano: .*got None"):
        load_preset(changed(tmp_path, "presets.nano", None), "nano")


def test_a_preset_named_by_a_number_is_listed_like_the_others(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("preset: 7\npresets: {7: {}, nano: {}}\n")
    with pytest.raises(ConfigError, match="preset: unknown 7; known: nano, .*, 7$"):
        load_preset(path)


# --- the shipped file explains itself -------------------------------------------------------------

SELF_EXPLANATORY = {
    *(f"presets.nano.aligner.qformer.{key}" for key in ("layers", "width", "heads", "mlp_width")),
    *(f"presets.nano.llm.lora.{key}" for key in ("rank", "targets")),
    *(
        f"presets.nano.generation.{key}"
        for key in ("max_new_tokens", "temperature", "repetition_penalty")
    ),
    "presets.nano.llm.weights",  # explained at speech_encoder
}


def undocumented(text: str) -> set[str]:
    """Keys with a value, in the sections that teach, and no comment on their line or above it."""
    found, path, above = set(), list[tuple[int, str]](), ""
    for line in text.splitlines():
        if match := re.match(r"( *)([\w-]+):(?= |$)(.*)", line):
            indent, key, value = len(match[1]), match[2], match[3].strip()
            path = [*((i, k) for i, k in path if i < indent), (indent, key)]
            name = ".".join(k for _, k in path)
            has_value = bool(value) and not value.startswith("#")
            taught = name.startswith(("presets.nano.", "endpointing.", "turns."))
            if taught and has_value and " # " not in line and not above.startswith("#"):
                found.add(name)
        above = line.strip()
    return found


def test_every_key_of_nano_and_endpointing_is_explained_where_it_stands() -> None:
    assert undocumented(TEXT) - SELF_EXPLANATORY == set()


@pytest.mark.parametrize("value", ["3", "0.5", "soft", "null"])
@pytest.mark.parametrize(
    ("section", "name"),
    [
        ("endpointing:", "endpointing.knob"),
        ("turns:", "turns.knob"),
        ("    generation:", "presets.nano.generation.knob"),
        ("      qformer:", "presets.nano.aligner.qformer.knob"),
    ],
)
def test_a_new_key_without_a_word_is_noticed(section: str, name: str, value: str) -> None:
    indent = " " * (len(section) - len(section.lstrip()) + 2)
    start, end = TEXT.split(f"\n{section}\n", 1)
    text = f"{start}\n{section}\n{indent}knob: {value}\n{end}"
    assert undocumented(text) - SELF_EXPLANATORY == {name}
    explained = text.replace(f"knob: {value}\n", f"knob: {value} # metres\n")
    assert undocumented(explained) - SELF_EXPLANATORY == set()


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
