"""What commands say aloud, and of voices that are not there."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.call import Call


def test_replay_writes_what_one_would_have_heard(
    call: Call, recording: Path, tmp_path: Path
) -> None:
    out = tmp_path / "both.wav"
    code, _, err = call("replay", recording, "--preset", "tiny", "--json", "--speak", out)
    assert (code, err) == (0, "")
    samples, rate = soundfile.read(out)
    assert rate == 24_000
    heard, had = soundfile.read(recording)
    assert len(samples) / rate > len(heard) / had
    assert np.abs(samples[-rate:]).max() > 0.01  # the answer, after all that was said


def test_where_it_cannot_be_written_that_is_told_first(
    call: Call, recording: Path, tmp_path: Path
) -> None:
    out = tmp_path / "nowhere" / "both.wav"
    code, _, err = call("replay", recording, "--preset", "tiny", "--json", "--speak", out)
    assert (code, err.count("\n")) == (1, 1)
    assert f"--speak: there is no folder {out.parent}" in err


def test_without_a_voice_nothing_can_be_written(
    call: Call, recording: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "mine.yaml"
    settings.write_text("voice: { name: none }\n")
    out = tmp_path / "both.wav"
    code, _, err = call("replay", recording, "--config", settings, "--speak", out)
    assert (code, "--speak: voice.name is none" in err) == (1, True)


@pytest.mark.parametrize("command", ["replay", "talk", "serve"])
def test_a_voice_that_is_not_there_is_told_with_those_that_are(
    call: Call, recording: Path, tmp_path: Path, command: str
) -> None:
    settings = tmp_path / "mine.yaml"
    settings.write_text("voice: { name: nobody }\n")
    words = [recording] if command == "replay" else []
    code, _, err = call(command, *words, "--config", settings)
    assert (code, err.count("\n")) == (1, 1)
    assert "voice.name: no voice 'nobody' here; there are: heart" in err


def test_talk_takes_a_voice_or_none(call: Call) -> None:
    code, _, err = call("talk", "--voice", "nobody")
    assert (code, "no voice 'nobody' here; there are: heart" in err) == (1, True)
    code, _, err = call("talk", "--voice", "heart", "--no-voice")
    assert (code, "--voice: not with --no-voice" in err) == (1, True)
