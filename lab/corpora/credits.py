"""Which recordings of sounds a preset was trained on: `python -m lab.corpora.credits DATA PRESET`,
where PRESET is nano or small."""

import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from lab.corpora.library import Clip, read_library
from lab.corpora.sounds import Sound, read_sounds

HEAD = """# Sounds that {preset} was trained on

None of them is in these weights or in this repository. Thanks to those who recorded them.
"""

SPEECH = {
    "small": """## Speech, for the judgement whether a speaker has finished

MInDS-14 (Gerz et al. 2021, arXiv 2104.08524), CC BY 4.0; Common Voice (Mozilla), CC0;
speechocean762 (Zhang et al. 2021, arXiv 2104.01378), free for commercial and non-commercial use;
coffee orders of Picovoice, Apache-2.0
""",
}
"""What is said of recordings of speech."""

ABOUT = {
    "esc10": "ESC-10 (K. J. Piczak 2015): fold and number of the clip at Freesound",
    "music": "Music of Debian packages, whose copyright files name the composers",
    "lomiri-sounds": "Ringtones of Debian's lomiri-sounds, whose copyright file names the authors",
    "noise-of-life": "Noise of Life",
    "noise": "Kitchen background of Picovoice",
}


def credits(preset: str, recordings: Iterable[Sound | Clip]) -> str:
    """A page of Markdown: corpora, their licences, and the recordings that training hears."""
    heard = set()
    for sound in recordings:
        if (sound.split if isinstance(sound, Sound) else sound.use) == "train":
            corpus = sound.source if isinstance(sound, Clip) else sound.recording.split("/")[0]
            heard.add((corpus, sound.recording.removeprefix(f"{corpus}/"), sound.licence))
    parts = [HEAD.format(preset=preset)]
    for corpus, group in groupby(sorted(heard), key=lambda entry: entry[0]):
        entries = list(group)
        licences = "; ".join(sorted({licence for _, _, licence in entries}))
        names = ", ".join(name for _, name, _ in entries)
        parts.append(
            f"## {ABOUT.get(corpus, corpus.capitalize())}\n\nLicence: {licences}\n\n{names}\n"
        )
    return "\n".join([*parts, *([SPEECH[preset]] if preset in SPEECH else [])])


if __name__ == "__main__":
    folder, preset = Path(sys.argv[1]) / "sound", sys.argv[2]
    recordings: list[Sound] | list[Clip] = (
        read_library(folder) if preset == "small" else read_sounds(folder)
    )
    print(credits(preset, recordings), end="")
