"""A set of read speech: whole sentences by native speakers, whom no preset was trained on."""

from pathlib import Path

from lab.evaluation.sets import WRITES, EvalSet, Half, evenly
from lab.manifest import Row, entries, half, spoken_row

VOICES, BOOKS = "commonvoice_recent", "ljspeech"
"""Folders of many speakers with cheap microphones, and of one who reads books aloud."""

NATIVE = ("United States English", "us", "Canadian English", "England English", "england",
          "Scottish English", "Northern Irish", "ireland", "Australian English",
          "australia")  # fmt: skip
"""Accents, as Common Voice's speakers name them, of those who grew up with English."""


def read_sets(data: Path, clips: int, which: Half) -> list[EvalSet]:
    """The set `read` of the folder `data`, of `clips` rows at most, that chooses or reports; none
    where its recordings are not there.

    Raises:
        ConfigError: a list of recordings is wrong.
    """
    speech = data / "speech"
    if not all((speech / f"{name}.jsonl").is_file() for name in (VOICES, BOOKS)):
        return []
    rows = evenly(read_sentences(speech, which), clips)
    title = "sentences that native speakers read: WER"
    return [EvalSet("read", title, "wer", rows, Path(), WRITES)]


def read_sentences(speech: Path, which: Half) -> list[Row]:
    """Rows of half of the speakers of Common Voice that name a `NATIVE` accent, and of half
    of the recordings of LJ Speech, who is one woman.

    Args:
        speech: the folder `data/speech`.
        which: the half.
    """
    voices = speech / VOICES
    several = [
        spoken_row(voices, entry, "CC0", which, entry["text"])
        for entry in entries(voices)
        if entry.get("accent") in NATIVE and half(entry["speaker"]) == which
    ]
    books = speech / BOOKS
    one = [
        spoken_row(books, entry, "public domain", which, entry["text"])
        for entry in entries(books)
        if half(entry["file"]) == which
    ]
    return several + one
