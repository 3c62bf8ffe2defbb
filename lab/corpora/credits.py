"""Which recordings of sounds nano was trained on: `python -m lab.corpora.credits DATA`."""

import sys
from itertools import groupby
from pathlib import Path

from lab.corpora.sounds import Sound, read_sounds

HEAD = """# Sounds that nano was trained on

None of them is in these weights or in this repository. Thanks to those who recorded them.
"""

ABOUT = {
    "esc10": "ESC-10 (K. J. Piczak 2015), folds 1 to 3: fold and number of the clip at Freesound",
    "music": "Music of Debian packages, whose copyright files name the composers",
    "lomiri-sounds": "Ringtones of Debian's lomiri-sounds, whose copyright file names the authors",
    "noise-of-life": "Noise of Life",
    "noise": "Kitchen background of Picovoice",
}


def credits(sounds: list[Sound]) -> str:
    """A page of Markdown: corpora, their licences, and the recordings that training hears."""
    heard = [(*s.recording.split("/", 1), s.licence) for s in sounds if s.split == "train"]
    parts = [HEAD]
    for corpus, group in groupby(sorted(set(heard)), key=lambda entry: entry[0]):
        entries = list(group)
        licences = "; ".join(sorted({licence for _, _, licence in entries}))
        names = ", ".join(name for _, name, _ in entries)
        parts.append(
            f"## {ABOUT.get(corpus, corpus.capitalize())}\n\nLicence: {licences}\n\n{names}\n"
        )
    return "\n".join(parts)


if __name__ == "__main__":
    print(credits(read_sounds(Path(sys.argv[1]) / "sound")), end="")
