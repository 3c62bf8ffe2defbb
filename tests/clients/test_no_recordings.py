"""Commands that are given a file that is no recording, or an address that is none."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from rich.console import Console

from assistant.sound import recording
from cli import main as cli
from clients import terminal
from tests.clients.test_terminal import SPOKEN, Json


def bad_recordings(folder: Path) -> dict[str, tuple[str, str]]:
    """What is wrong -> the file, and what is told."""
    os.mkfifo(folder / "fifo.wav")
    (folder / "folder.wav").mkdir()
    (folder / "a\nb\x1b[31m.wav").mkdir()
    soundfile.write(folder / "slow.wav", np.zeros(200), 999)
    soundfile.write(folder / "nan.wav", np.array([0, np.nan]), 16_000, subtype="FLOAT")
    (folder / "raw.wav").write_bytes(SPOKEN)
    (folder / "raw.raw").write_bytes(SPOKEN)
    return {
        "fifo": ("fifo.wav", "fifo.wav: not a regular file"),
        "folder": ("folder.wav", "folder.wav: not a regular file"),
        "input": ("-", "-: not a regular file"),
        "device": ("/dev/null", "/dev/null: not a regular file"),
        "name": ("a\nb\x1b[31m.wav", "a\\nb\\x1b[31m.wav: not a regular file"),
        "bidi": ("\u202egpj.wav", "\\u202egpj.wav: no such file"),
        "rate": ("slow.wav", "slow.wav: sample rate 999 Hz is outside"),
        "nan": ("nan.wav", "nan.wav: sample 1 is not a finite number"),
        "raw in wav": ("raw.wav", "raw.wav: not readable as audio (it has no WAV header"),
        "raw": ("raw.raw", "raw.raw: not readable as audio (raw samples have no header)"),
    }


@pytest.mark.parametrize("command", ["ask", "replay", "record", "send"])
def test_what_is_no_recording_is_one_line_and_never_waited_for(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    more = {"record": ["tape.jsonl"], "send": ["--server", "ws://127.0.0.1:9/v1/realtime"]}
    for name, (file, expected) in bad_recordings(tmp_path).items():
        words = [command, *more.get(command, []), "--preset", "tiny", "--", file]
        if command == "record":
            words = [command, "--preset", "tiny", "--", file, "tape.jsonl"]
        monkeypatch.setattr(sys, "argv", ["salmonn-live", *words])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        assert caught.value.code == 1, name
        assert out == "", name
        assert err.count("\n") == 1, (name, err)
        assert err.startswith(f"salmonn-live: {expected}"), (name, err)


def test_send_sends_what_replay_hears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = np.random.default_rng(0).uniform(-1.2, 1.2, (9600, 2))
    soundfile.write(tmp_path / "a.wav", sound, 48_000, subtype="FLOAT")
    given: list[bytes] = []

    async def converse(
        url: str, token: str | None, settings: Json, source: Any, out: Console
    ) -> None:
        given.extend([piece async for piece in source])

    monkeypatch.setattr(terminal, "converse", converse)
    monkeypatch.setattr(
        sys, "argv", ["x", "send", str(tmp_path / "a.wav"), "--server", "ws://h", "--speed", "999"]
    )
    with pytest.raises(SystemExit):
        cli.main()
    heard = recording.to_pcm16(recording.load(tmp_path / "a.wav"))
    assert b"".join(given) == heard + bytes(2 * 2 * 16_000)


@pytest.mark.parametrize("server", ["127.0.0.1:8765/v1/realtime", "ftp://h", "ws:///x"])
def test_a_server_that_is_no_address_is_one_line(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(160), 16_000)
    monkeypatch.setattr(sys, "argv", ["x", "send", str(tmp_path / "a.wav"), "--server", server])
    with pytest.raises(SystemExit):
        cli.main()
    err = capsys.readouterr().err
    assert err.startswith("salmonn-live: ")
    assert "ws://HOST:PORT/v1/realtime" in err
    assert err.count("\n") == 1
