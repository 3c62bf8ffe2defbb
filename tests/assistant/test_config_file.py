"""Files that are no configuration are errors that name them, in one line."""

import re
from pathlib import Path

import pytest

from assistant.errors import ConfigError
from assistant.files.presets import load_preset, read_yaml
from streaming.config_file import load_config
from tests.assistant.configs import PRESETS, changed

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
