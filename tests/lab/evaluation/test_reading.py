"""Read speech: whose it is, and what a model reads of it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from assistant.captions.captioner import Captioner
from assistant.ear.hearing import Hearing
from assistant.model import Salmonn
from lab.evaluation import build
from lab.evaluation.reading import read_sentences, read_sets
from lab.evaluation.systems import Captioned
from lab.manifest import Row


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Forty speakers of Common Voice, every second one a native speaker, and a woman of books."""
    several = [
        {"file": f"{i}.opus", "text": "a b", "speaker": str(i), "split": "train"}
        | ({"accent": "England English"} if i % 2 else {"accent": "Filipino"} if i % 4 else {})
        for i in range(40)
    ]
    one = [
        {"file": f"LJ{i}.opus", "text": "c d", "speaker": "lj", "split": "train"} for i in range(40)
    ]
    (tmp_path / "speech").mkdir()
    for name, lines in (("commonvoice_recent", several), ("ljspeech", one)):
        written = "\n".join(map(json.dumps, lines))
        (tmp_path / "speech" / f"{name}.jsonl").write_text(written)
    return tmp_path


def test_native_speakers_read_and_the_halves_share_none(data: Path) -> None:
    chose, reported = (read_sentences(data / "speech", half) for half in ("choose", "report"))
    assert len(chose) + len(reported) == 20 + 40
    assert len(chose) > 20 < len(reported)
    assert not {row.audio for row in chose} & {row.audio for row in reported}
    assert {row.answer for row in chose} == {"a b", "c d"}
    heard = [Path(row.audio) for row in chose + reported if row.answer == "a b"]
    assert all(int(path.stem) % 2 for path in heard)
    assert {path.parent for path in heard} == {data / "speech" / "commonvoice_recent"}


def test_where_the_recordings_are_not_there_is_no_such_set(data: Path) -> None:
    assert [len(one.rows) for one in read_sets(data, 5, "report")] == [5]
    (data / "speech" / "ljspeech.jsonl").unlink()
    assert read_sets(data, 5, "report") == []


def test_nothing_is_made_for_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "make", lambda order: pytest.fail("made"))
    found = build.made_sets(data, tmp_path / "made", 5, "report", ["read"])
    assert [one.name for one in found] == ["read"]


def test_what_is_read_of_a_stream_is_what_is_read_of_it_at_once(tiny: Salmonn) -> None:
    samples = (0.1 * np.random.default_rng(0).standard_normal(40_000)).astype(np.float32)
    hearing, captioner = Hearing(tiny.ear), Captioner(tiny.captions)
    captioner.hear(hearing.push(torch.from_numpy(samples)))
    expected = captioner.read(hearing.peek(), last=True).settled
    assert expected.strip()
    assert Captioned(tiny).answer(Row("", ""), samples, "") == expected.strip()
