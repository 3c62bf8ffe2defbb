"""Sets of sounds that report or choose: what the library keeps, by source, by recording and by what
is not known (`lab.corpora.library`)."""

from pathlib import Path

from assistant.ear.tagger import UNKNOWN_SOUND
from lab.corpora.excerpts import held_out
from lab.corpora.library import MORE
from lab.evaluation.sets import HEARS, EvalSet, Half, Measure, evenly
from lab.manifest import Row


def kept_sets(data: Path, clips: int, half: Half) -> list[EvalSet]:
    """Sets of the folder `data`, of `clips` rows at most, that choose or that report; none where it
    has no `sound/more`."""
    if not (data / "sound" / MORE).is_dir():
        return []
    rows = held_out(data, half)
    known = [row for row in rows if row.key != UNKNOWN_SOUND]
    unknown = [row for row in rows if row.key == UNKNOWN_SOUND]
    sources = [row for row in known if row.speaker.startswith("source ")]
    others = [row for row in known if row.speaker.startswith("recording ")]
    esc10 = [row for row in others if " esc10/" in row.speaker]
    rest = [row for row in others if row not in esc10]

    def chosen(name: str, title: str, rows: list[Row]) -> EvalSet:
        measure: Measure = "silent" if name == "unknown" else "right"
        return EvalSet(name, title, measure, evenly(rows, clips), Path(), HEARS)

    found = [
        chosen("sources", "sounds of sources never trained on, what is this: right", sources),
        chosen("library", "other recordings never trained on, the same: right", rest),
        chosen("fold3" if half == "report" else "fold4", "ESC-10, the same: right", esc10),
        chosen("unknown", "sounds it does not know: names a class of sound", unknown),
    ]
    return [one for one in found if one.rows]
