"""What a recipe starts from and cannot make: recordings and texts in the folder `--data`."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from assistant.errors import ConfigError
from assistant.files.weights import sha256
from lab.corpora.excerpts import SPEECH as TALKED
from lab.corpora.sounds import CORPORA

LISTING = ".jsonl"
"""Beside a folder of recordings: what they are."""

SOUNDS = tuple(f"sound/{name}" for name in CORPORA)
TEXTS = ("text/oos_eval.json", "text/home_commands.jsonl")
SPEECH = ("speech/speechocean762",)
READS: dict[str, tuple[str, ...]] = {
    "synthetic": (*TEXTS, "text/trivia", *SOUNDS),
    "nobody": (),
    "speechocean": SPEECH,
    "librispeech": ("speech/librispeech",),
    "keywords": ("speech/keywords",),
    "sounds": SOUNDS,
    "instruments": (),
    "rough": SOUNDS,
    "joined": (),
    "mixtures": (*TEXTS, *SOUNDS),
    "replies": TEXTS,
    "details": SPEECH,
    "stories": (),
    "orchestra": (),
    "excerpts": (*SOUNDS, "sound/more", *(f"speech/{name}" for name in TALKED)),
}
"""What each kind of corpus reads of it."""


def content(path: Path) -> str:
    """The digest of a file, or of all files of a folder and of the listing beside it.

    Raises:
        ConfigError: there is no such file or folder.
    """
    if path.is_file():
        return sha256(path)
    if not path.is_dir():
        raise ConfigError(f"material: {path}: no such file or folder")
    whole = hashlib.sha256()
    for file in _files(path):
        name = file.relative_to(path.parent).as_posix()
        whole.update(f"{name} {sha256(file)}\n".encode())
    return whole.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    listing = folder.with_suffix(LISTING)
    if listing.is_file():
        yield listing
    yield from sorted(path for path in folder.rglob("*") if path.is_file())


def check(material: Mapping[str, str], data: Path) -> None:
    """See that the material is what the recipe says it is.

    Raises:
        ConfigError: something is missing, or is not the same.
    """
    for name, wanted in material.items():
        if (found := content(data / name)) != wanted:
            raise ConfigError(
                f"material: {data / name}: its sha256 is {found[:12]}…, "
                f"and the recipe says {wanted[:12]}…"
            )
