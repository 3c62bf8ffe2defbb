"""The keys of endpointing, turns and server: their ends, and what is never shown."""

from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.config import Section
from assistant.errors import ConfigError
from assistant.files.presets import read_yaml, shipped_config, validate
from streaming.config import (
    EndpointingConfig,
    ServerConfig,
    ToolsConfig,
    TurnsConfig,
    WakeWordConfig,
)
from streaming.config_file import load_config

SECTIONS: dict[str, type[Section]] = {
    "endpointing": EndpointingConfig,
    "turns": TurnsConfig,
    "wake_word": WakeWordConfig,
    "tools": ToolsConfig,
    "server": ServerConfig,
}
ENDS: list[tuple[str, Any, Any]] = [
    ("endpointing.aggressiveness", 3, 4),
    ("endpointing.aggressiveness", 0, -1),
    ("endpointing.threshold", 0.999, 1.0),
    ("endpointing.threshold", 0.001, 0.0),
    ("endpointing.min_speech_frames", 1500, 1501),
    ("endpointing.min_speech_frames", 1, 0),
    ("endpointing.pause_frames", 1500, 1501),
    ("endpointing.pause_frames", 1, 0),
    ("endpointing.min_silence_frames", 1500, 1501),
    ("endpointing.min_silence_frames", 1, 0),
    ("endpointing.max_utterance_s", 600.0, 600.01),
    ("endpointing.max_utterance_s", 0.01, 0.0),
    ("turns.context_s", 600.0, 600.01),
    ("turns.context_s", 0.0, -0.01),
    ("turns.rejoin_s", 60.0, 60.01),
    ("turns.rejoin_s", 0.0, -0.01),
    ("turns.ring_s", 600.0, 600.01),
    ("turns.ring_s", 0.01, 0.0),
    ("turns.silence_db", 0.0, 0.01),
    ("turns.silence_db", -120.0, -120.01),
    ("turns.turns_kept", 1000, 1001),
    ("turns.turns_kept", 0, -1),
    ("turns.idle_timeout_s", 30.0, 30.01),
    ("turns.idle_timeout_s", 5.0, 4.99),
    ("turns.barge_in_frames", 1500, 1501),
    ("turns.barge_in_frames", 1, 0),
    ("server.port", 65535, 65536),
    ("server.port", 0, -1),
    ("server.sessions", 1000, 1001),
    ("server.sessions", 1, 0),
    ("server.session_minutes", 10_080.0, 10_080.1),
    ("server.session_minutes", 0.01, 0.0),
    ("server.message_mb", 256.0, 256.01),
    ("server.message_mb", 0.01, 0.009),
    ("wake_word.threshold", 0.999, 1.0),
    ("wake_word.threshold", 0.001, 0.0),
    ("wake_word.sleep_after_s", 600.0, 600.01),
    ("wake_word.sleep_after_s", 1.0, 0.99),
    ("tools.wait_s", 600.0, 600.01),
    ("tools.wait_s", 0.01, 0.0),
    ("server.backlog_s", 600.0, 600.01),
    ("server.backlog_s", 0.01, 0.0),
    ("server.unread_events", 2000, 2001),
    ("server.unread_events", 1, 0),
    ("server.resume_s", 3600.0, 3600.01),
    ("server.resume_s", 0.0, -0.01),
    ("server.connects_per_s", 10_000.0, 10_000.1),
    ("server.connects_per_s", 0.01, 0.0),
]
"""Key, the last value that is taken, the next one."""


def made(key: str, value: object) -> object:
    section, name = key.split(".")
    around = {"min_silence_frames": 1500} if name == "pause_frames" else {}
    around = {"pause_frames": 1} if name == "min_silence_frames" else around
    return getattr(validate(SECTIONS[section], {**around, name: value}, section), name)


@pytest.mark.parametrize(("key", "last", "wrong"), ENDS)
def test_one_step_either_side(key: str, last: Any, wrong: Any) -> None:
    assert made(key, last) == last
    for value in (wrong, 10**30, 10**400, 1e308, float("inf"), float("nan"), -(10**30)):
        with pytest.raises(ConfigError, match=f"^{key}: "):
            made(key, value)


def _plain(kind: object) -> object:
    """A type without its bounds: `Annotated[int, ...]` is int."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


@pytest.mark.parametrize("wrong", [["?!"], [""], ["mhm"] * 101, ["m" * 61], "mhm", None])
@pytest.mark.parametrize("key", ["turns.stop_words", "turns.backchannels"])
def test_phrases_have_words(key: str, wrong: object) -> None:
    assert made(key, ["mhm"] * 100) == ["mhm"] * 100
    assert made(key, []) == []
    with pytest.raises(ConfigError, match=f"^{key}"):
        made(key, wrong)


def test_every_number_has_two_ends() -> None:
    numbers = {
        f"{section}.{name}"
        for section, schema in SECTIONS.items()
        for name, field in schema.model_fields.items()
        if {int, float} & {field.annotation, *map(_plain, get_args(field.annotation))}
    }
    assert numbers == {key for key, _, _ in ENDS}
    assert all(len([1 for key, _, _ in ENDS if key == number]) == 2 for number in numbers)


# --- one default for a key, in config.yaml and in the class


@pytest.mark.parametrize("section", SECTIONS)
def test_the_shipped_file_says_the_default_of_every_key(section: str) -> None:
    schema = SECTIONS[section]
    assert read_yaml(shipped_config())[section] == schema().model_dump(mode="json")


def test_an_utterance_ends_after_320_ms_of_silence() -> None:
    assert load_config(shipped_config()).endpointing.min_silence_frames == 16


# --- a file of one's own


def test_a_section_takes_the_shipped_values_for_what_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "shipped.yaml"
    text = shipped_config().read_text()
    shipped.write_text(text.replace("min_silence_frames: 16", "min_silence_frames: 40"))
    monkeypatch.setattr("assistant.files.presets.shipped_config", lambda: shipped)
    (tmp_path / "c.yaml").write_text("endpointing: { threshold: 0.6 }\n")
    found = load_config(tmp_path / "c.yaml").endpointing
    assert (found.threshold, found.min_silence_frames) == (0.6, 40)


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("given", ["null", "3", "[]"])
def test_a_section_that_is_none_is_an_error_that_names_it(
    tmp_path: Path, section: str, given: str
) -> None:
    (tmp_path / "c.yaml").write_text(f"{section}: {given}\n")
    with pytest.raises(ConfigError, match=f"^{section}: "):
        load_config(tmp_path / "c.yaml")


def test_a_time_of_day_is_no_port(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("server: { port: 21:45 }\n")
    with pytest.raises(ConfigError, match=r"server\.port: .*integer \(got '21:45'\)"):
        load_config(tmp_path / "c.yaml")


def test_an_integer_of_5000_digits_is_told_in_short(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(f"server: {{ port: {'9' * 5000} }}\n")
    with pytest.raises(ConfigError, match=r"^server\.port: ") as error:
        load_config(tmp_path / "c.yaml")
    assert len(str(error.value)) < 200


# --- tokens


@pytest.mark.parametrize("text", ["s3cr3t", "  s3cr3t\n", "s3cr3t/AbC+dEf==", "!~"])
def test_a_token_is_taken_without_the_white_space_around_it(text: str) -> None:
    token = ServerConfig.model_validate({"token": text}).token
    assert token is not None
    assert token.get_secret_value() == text.strip()


@given(st.text())
def test_a_token_that_is_taken_can_be_sent(text: str) -> None:
    try:
        token = validate(ServerConfig, {"token": text}, "server").token
    except ConfigError as error:
        assert str(error).startswith("server.token: ")  # noqa: PT017
        return
    assert token is not None
    assert all(0x21 <= ord(c) <= 0x7E for c in token.get_secret_value())
    assert token.get_secret_value()


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "s3cr3t word", "s3cr3t\x01", "s3cr3té", "s3cr3t\udcff"]
)
def test_a_token_that_cannot_be_sent_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^server\.token: ") as error:
        validate(ServerConfig, {"token": text}, "server")
    assert "s3cr3t" not in str(error.value)


@pytest.mark.parametrize(
    "values",
    [
        {"token": "s3cr3t", "certificate": "c.pem"},
        {"token": "s3cr3t", "port": -1},
        {"token": ["s3cr3t"]},
        {"token": {"s3cr3t": 1}},
        {"tokn": "s3cr3t"},
    ],
)
def test_no_error_shows_a_token(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as error:
        validate(ServerConfig, values, "server")
    assert "s3cr3t" not in f"{error.value}{error.value.__cause__}"


def test_nothing_else_shows_a_token() -> None:
    config = ServerConfig.model_validate({"token": "s3cr3t"})
    assert "s3cr3t" not in f"{config} {config!r} {config.model_dump()} {config.model_dump_json()}"
    assert "s3cr3t" not in repr(load_config(shipped_config(), "tiny"))
