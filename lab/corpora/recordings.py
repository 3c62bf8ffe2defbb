"""Writing a corpus of made recordings: any maker, several processes, resumable."""

from collections.abc import Generator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import soundfile

from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples
from lab import manifest
from lab.manifest import Row


class Maker(Protocol):
    """Makes recording `index`: a function of the index alone, and picklable."""

    def start(self) -> None:
        """Load what is needed; called once per process."""

    def rows(self, index: int) -> list[Row]:
        """What the manifest says about it; file and length are filled in."""

    def make(self, index: int) -> Samples:
        """The recording, shape (n,), 16 kHz, in [-1, 1]."""


_maker: Maker
_folder: Path


def _start(maker: Maker, folder: Path) -> None:
    global _maker, _folder  # one per worker process
    maker.start()
    _maker, _folder = maker, folder


def _one(index: int) -> list[Row]:
    path = _folder / f"{index:06d}.flac"
    if not path.exists():  # an earlier run may have come this far
        fresh = path.with_suffix(".new")
        soundfile.write(fresh, _maker.make(index), SAMPLE_RATE, subtype="PCM_16", format="FLAC")
        fresh.rename(path)
    length = soundfile.info(path).frames
    return [replace(row, audio=path.name, length=length) for row in _maker.rows(index)]


def write_corpus(maker: Maker, count: int, folder: Path, workers: int) -> Generator[int]:
    """Write `count` recordings and `manifest.jsonl` into `folder`, yielding how many are done."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    with ProcessPoolExecutor(workers, initializer=_start, initargs=(maker, folder)) as pool:
        for done, some in enumerate(pool.map(_one, range(count), chunksize=8), 1):
            rows += some
            yield done
    manifest.write(folder / "manifest.jsonl", rows)
