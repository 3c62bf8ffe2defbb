from pathlib import Path

import pytest
import soundfile

from tests.cli.call import DEMO, Call, run


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    return lambda *words: run(capsys, monkeypatch, *words)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """The first utterance of the demo, 3.4 s."""
    path = tmp_path / "voice.wav"
    samples, rate = soundfile.read(DEMO)
    soundfile.write(path, samples[rate // 2 : 4 * rate], rate)
    return path
