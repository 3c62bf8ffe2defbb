"""What is measured on: held-out recordings, each set with the measure that fits it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from assistant.errors import ConfigError
from assistant.training import manifest
from assistant.training.manifest import Row, entries, from_speechocean

Measure = Literal["wer", "right", "parts", "silent"]
"""wer: word error rate. right: share of answers that hold their key. parts: share of the keys'
parts that answers hold. silent: share of answers that claim speech or an event where there is
none."""


@dataclass(frozen=True, slots=True)
class EvalSet:
    """Recordings and how answers to them are judged."""

    name: str
    title: str
    measure: Measure
    rows: list[Row]
    folder: Path
    """What the rows' files are relative to."""

    systems: tuple[str, ...]
    """Which systems can be asked; a baseline without ears is not asked about sounds."""


HEARS = ("offline", "streamed")
READS = (*HEARS, "cascade", "text oracle")

MADE = ("synthetic-unseen", "questions-dev", "nobody-dev", "mixtures-dev", "sounds-dev")
"""Corpora of the recipe that have to be made."""


def named_sets(data: Path, made: Path, clips: int) -> list[EvalSet]:
    """The sets of `salmonn-live eval`.

    Args:
        data: the folder `data` of recordings.
        made: folder with the corpora `MADE`.
        clips: rows of a set at most, taken evenly.
    """
    speech = from_speechocean(data / "speech" / "speechocean762", "dev")
    sounds = _read(made, "sounds-dev")
    mixtures = _read(made, "mixtures-dev")
    asked = [r for r in mixtures if r.task == "listen" and "(" in r.text and r.speaker == "ask"]
    direct = [r for r in mixtures if r.task == "QA" and r.speaker == "ask"]
    others = [r for r in mixtures if r.key and r.speaker != "ask"]
    nobody = _read(made, "nobody-dev")
    still = [r for r in sounds if r.key in ("keyboard typing", "hair dryer", "electric shaver")]
    quiet = nobody + [_transcribe(r) for r in still]
    folder = made / "mixtures-dev"

    def every(rows: list[Row]) -> list[Row]:
        step = max(1, -(-len(rows) // clips))
        return rows[::step]

    return [
        EvalSet("speech", "real accented speech, unseen speakers: WER", "wer", every(speech),
                Path(), (*HEARS, "Whisper")),
        EvalSet("voices", "unseen synthetic voices: WER", "wer",
                every(_read(made, "synthetic-unseen")), made / "synthetic-unseen",
                (*HEARS, "Whisper")),
        EvalSet("questions", "spoken questions and commands: right", "right",
                every(_read(made, "questions-dev")), made / "questions-dev", READS),
        EvalSet("orders", "real coffee orders: slots right", "parts",
                every(coffee_orders(data / "speech" / "coffee-orders")), Path(),
                (*HEARS, "cascade")),
        EvalSet("esc10", "ESC-10 fold 4, what is this sound: right", "right",
                every([r for r in sounds if r.speaker.startswith("esc10/")]), Path(), HEARS),
        EvalSet("sounds", "39 classes of sound, what is this sound: right", "right",
                every(sounds), Path(), HEARS),
        EvalSet("asked", "a sound, then a spoken question about it: right", "right",
                every(asked), folder, (*HEARS, "cascade")),
        EvalSet("typed", "the same recordings, the question typed: right", "right",
                every(direct), folder, HEARS),
        EvalSet("mixtures", "order, count, speech over sound, what was said: right", "right",
                every(others), folder, (*HEARS, "cascade")),
        EvalSet("silence", "silence, noise, typing, dryers: invents something", "silent",
                every(quiet), made / "nobody-dev", (*HEARS, "Whisper")),
    ]  # fmt: skip


def coffee_orders(folder: Path) -> list[Row]:
    """Rows of `data/speech/coffee-orders`; the key holds the slots' values."""
    rows = []
    for entry in entries(folder):
        values = [value.strip() for value in entry["slots"].values()]
        rows.append(
            Row(str((folder / entry["file"]).resolve()), answer="", key=";".join(values),
                task="listen", split="dev", licence="Apache-2.0")
        )  # fmt: skip
    return rows


def own_set(path: Path, clips: int) -> EvalSet:
    """Anyone's manifest: judged by key where every row has one, by word error rate otherwise.

    Raises:
        ConfigError: it is empty.
    """
    rows = manifest.read(path)
    if not rows:
        raise ConfigError(f"{path}: no rows")
    keyed = all(row.key for row in rows)
    systems = (*READS, "Whisper") if all(row.text for row in rows) else HEARS
    step = max(1, -(-len(rows) // clips))
    return EvalSet(
        path.stem, f"{path.name}: {'right' if keyed else 'WER'}", "right" if keyed else "wer",
        rows[::step], path.parent, systems,
    )  # fmt: skip


def _read(made: Path, name: str) -> list[Row]:
    return manifest.read(made / name / "manifest.jsonl")


def _transcribe(row: Row) -> Row:
    return replace(row, task="asr", instruction="", key="There is no speech.")
