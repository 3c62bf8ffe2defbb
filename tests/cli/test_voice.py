"""The voice on the command line."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cli import main as cli

DEMO = Path(__file__).parents[2] / "demo" / "kitchen.flac"


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object
) -> tuple[int, str]:
    """Exit code and stderr."""
    monkeypatch.setattr(sys, "argv", ["salmonn-live", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    code = caught.value.code
    return (code if isinstance(code, int) else 0), capsys.readouterr().err


@pytest.fixture
def sentence(tmp_path: Path) -> Path:
    """The first sentence of the demo, 3.4 s."""
    path = tmp_path / "sentence.wav"
    samples, rate = soundfile.read(DEMO)
    soundfile.write(path, samples[rate // 2 : 4 * rate], rate)
    return path


def test_replay_writes_what_one_would_have_heard(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    sentence: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "both.wav"
    words = "replay", sentence, "--preset", "tiny", "--json", "--speak", out
    assert run(capsys, monkeypatch, *words) == (0, "")
    samples, rate = soundfile.read(out)
    assert rate == 24_000
    heard, had = soundfile.read(sentence)
    assert len(samples) / rate > len(heard) / had
    assert np.abs(samples[-rate:]).max() > 0.01  # the answer, after all that was said


def test_where_it_cannot_be_written_that_is_told_first(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    sentence: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "nowhere" / "both.wav"
    words = "replay", sentence, "--preset", "tiny", "--json", "--speak", out
    code, told = run(capsys, monkeypatch, *words)
    assert (code, told.count("\n")) == (1, 1)
    assert f"--speak: there is no folder {out.parent}" in told.replace("\n", "")


@pytest.mark.parametrize("command", ["replay", "talk", "serve"])
def test_a_voice_that_is_not_there_is_told_with_those_that_are(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    sentence: Path,
    tmp_path: Path,
    command: str,
) -> None:
    settings = tmp_path / "mine.yaml"
    settings.write_text("voice: { name: nobody }\n")
    words = [sentence] if command == "replay" else []
    code, told = run(capsys, monkeypatch, command, *words, "--config", settings)
    assert (code, told.count("\n")) == (1, 1)
    assert "voice.name: no voice 'nobody' here; there are: heart" in told


def test_without_a_voice_nothing_can_be_written(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    sentence: Path,
    tmp_path: Path,
) -> None:
    settings = tmp_path / "mine.yaml"
    settings.write_text("voice: { name: none }\n")
    words = "replay", sentence, "--config", settings, "--speak", tmp_path / "both.wav"
    code, told = run(capsys, monkeypatch, *words)
    assert (code, "--speak: voice.name is none" in told) == (1, True)


def test_talk_takes_a_voice_or_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, told = run(capsys, monkeypatch, "talk", "--voice", "nobody")
    assert (code, "no voice 'nobody' here; there are: heart" in told) == (1, True)
    code, told = run(capsys, monkeypatch, "talk", "--voice", "heart", "--no-voice")
    assert (code, "--voice: not with --no-voice" in told) == (1, True)
