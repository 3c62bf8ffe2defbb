"""The manifest: one JSON line per training example."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One stretch of a recording and what should be said about it."""

    audio: str
    """File, relative to the manifest."""

    answer: str
    """What the model should say."""

    text: str = ""
    """What is spoken in it; empty where nobody speaks."""

    heard: str = ""
    """What Whisper's decoder reads from it; filled in when features are, for a second ear."""

    key: str = ""
    """Words that a right answer holds, `;` between them; empty: judged by the whole answer."""

    task: str = "asr"
    instruction: str = ""
    offset: int = 0
    """Samples, at 16 kHz, from the start of the file."""

    length: int | None = None
    """Samples; None: to the end."""

    speaker: str = ""
    """Speaker or synthetic voice."""

    licence: str = ""
    split: str = "train"


def read(path: Path) -> list[Row]:
    """Read a manifest.

    Raises:
        ValueError: a line is not a row; the message names file and line.
    """
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            rows.append(Row(**json.loads(line)))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}:{number}: {error}") from error
    return rows


def write(path: Path, rows: list[Row]) -> None:
    """Write a manifest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))


def from_speechocean(folder: Path, split: str) -> list[Row]:
    """Rows of `data/speech/speechocean762` (arXiv 2104.01378), audio paths absolute."""
    licence = "speechocean762: free for commercial and non-commercial use"
    return [
        _row(folder, entry, licence, split, entry["text"].lower())
        for entry in entries(folder)
        if entry["split"] == split
    ]


def from_folder(folder: Path, licence: str) -> list[Row]:
    """Rows of a folder of `data/speech` with its manifest, audio paths absolute."""
    return [_row(folder, e, licence, "train", e.get("text", "")) for e in entries(folder)]


def entries(folder: Path) -> list[dict[str, Any]]:
    """What is known about the recordings of a folder, from the JSON lines beside it."""
    lines = folder.with_suffix(".jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def _row(folder: Path, entry: dict[str, Any], licence: str, split: str, text: str) -> Row:
    audio, speaker = str((folder / entry["file"]).resolve()), entry.get("speaker", "")
    return Row(audio, text, text=text, speaker=speaker, licence=licence, split=split)
