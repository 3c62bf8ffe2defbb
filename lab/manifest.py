"""The manifest: one JSON line per training example."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, NonNegativeInt, PositiveInt, TypeAdapter, ValidationError

from assistant.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Row:
    """One stretch of a recording and what should be said about it."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    audio: str
    """File, relative to the manifest."""

    answer: str
    """What the model should say."""

    text: str = ""
    """What is spoken in it; empty where nobody speaks."""

    heard: str = ""
    """What Whisper's decoder reads from it; filled in when features are, for a second ear."""

    key: str = ""
    """Words that a right answer holds: `;` between them, or `>` where they must come in this order;
    empty: judged by the whole answer."""

    task: str = "asr"
    instruction: str = ""
    offset: NonNegativeInt = 0
    """Samples, at 16 kHz, from the start of the file."""

    length: PositiveInt | None = None
    """Samples; None: to the end."""

    speaker: str = ""
    """Speaker or synthetic voice."""

    licence: str = ""
    split: str = "train"
    """train, or what is never trained on: choose, report, or dev, which did both once."""

    sources: tuple[str, ...] = ()
    """The recordings and the sentences it was made from; none: the file is a recording itself."""

    @property
    def stretch(self) -> tuple[str, int, int | None]:
        """The samples it is about: file, offset, length."""
        return self.audio, self.offset, self.length

    def origins(self, folder: Path) -> tuple[str, ...]:
        """What it was made from, or the file that it is; `folder` is that of the manifest."""
        return self.sources or (str((folder / self.audio).resolve()),)


_ROW = TypeAdapter(Row)


def half(name: str) -> str:
    """choose or report: which half of what is held out a sentence or a speaker is in, by a hash."""
    return ("choose", "report")[hashlib.sha256(name.encode()).digest()[0] % 2]


def read(path: Path) -> list[Row]:
    """Read a manifest.

    Raises:
        ConfigError: no such file, or a line is not a row; the message names file, line and field.
    """
    rows = []
    for number, line in enumerate(_lines(path), 1):
        try:
            rows.append(_ROW.validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            where = [f"{path}:{number}", *map(str, first["loc"])]
            raise ConfigError(": ".join([*where, first["msg"]])) from error
    return rows


def write(path: Path, rows: list[Row]) -> None:
    """Write a manifest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))


def from_speechocean(folder: Path, split: str) -> list[Row]:
    """Rows of `data/speech/speechocean762` (arXiv 2104.01378), audio paths absolute.

    Args:
        folder: of the recordings.
        split: train or dev; choose or report: half of the speakers of dev.
    """
    licence = "speechocean762: free for commercial and non-commercial use"
    return [
        spoken_row(folder, entry, licence, split, entry["text"].lower())
        for entry in entries(folder)
        if split in (entry["split"], half(entry["speaker"]) if entry["split"] == "dev" else "")
    ]


def from_folder(folder: Path, licence: str) -> list[Row]:
    """Rows of a folder of `data/speech` with its manifest, audio paths absolute."""
    return [spoken_row(folder, e, licence, "train", e.get("text", "")) for e in entries(folder)]


def entries(folder: Path) -> list[dict[str, Any]]:
    """What is known about the recordings of a folder, from the JSON lines beside it.

    Raises:
        ConfigError: there are none, or one is not JSON; the message names file and line.
    """
    path, found = folder.with_suffix(".jsonl"), []
    for number, line in enumerate(_lines(path), 1):
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ConfigError(f"{path}:{number}: {error}") from error
    return found


def _lines(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8") as file:
            return list(file)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text") from error


def spoken_row(folder: Path, entry: dict[str, Any], licence: str, split: str, text: str) -> Row:
    """A row of a recording that `entries` found, judged by all words; its path is absolute."""
    audio, speaker = str((folder / entry["file"]).resolve()), entry.get("speaker", "")
    return Row(audio, text, text=text, speaker=speaker, licence=licence, split=split)
