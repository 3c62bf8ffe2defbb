"""Short digests of a model's weights: cheap to make, and the same on every machine."""

import hashlib
from pathlib import Path

from assistant.config import ModelConfig
from assistant.parts import components
from assistant.parts.checkpoint import CARD, checkpoint_path, read_card

PARTS = (
    "speech_encoder", "audio_encoder", "sound_tagger", "end_of_turn", "tool_router", "llm",
)  # fmt: skip
"""The parts of a `ModelConfig` that have `weights`."""

LETTERS = 16
"""Letters of a digest."""

PIECES, PIECE = 64, 65_536
"""A large file is sampled in so many places, with so many bytes each; that is enough, since
training changes all of a file."""

_KINDS = {".safetensors", ".bin", ".pt", ".pth", ".json", ".model"}
"""Suffixes of the files in a folder that make up a model."""


def fingerprints(config: ModelConfig) -> dict[str, str | None]:
    """For each part of a model, a text that differs if the weights differ; None: no such part.

    It is the pinned or shipped digest if there is one; other files are sampled.

    Raises:
        AssistantError: a part is missing, or is not the pinned one.
    """
    found: dict[str, str | None] = {}
    for name in PARTS:
        part = getattr(config, name)
        found[name] = None if part is None else _of_sources(part.weights)
    source = config.checkpoint
    found["checkpoint"] = None if source is None else _of_checkpoint(checkpoint_path(source))
    return found


def _of_sources(sources: list[str]) -> str:
    source, path = components.origin(sources)
    if path is not None:
        return _digest(path)
    pinned = components.PINNED.get(source, ())
    return "+".join(file.sha256[:LETTERS] for file in pinned) or source


def _of_checkpoint(path: Path) -> str:
    card = (path / CARD).is_file()
    return read_card(path).weights_sha256[:LETTERS] if card else _digest(path)


def _digest(path: Path) -> str:
    """Digest of a file, or of the files in a folder that make up a model."""
    files = [path]
    if path.is_dir():
        files = sorted(f for f in path.iterdir() if f.is_file() and f.suffix in _KINDS)
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.name if path.is_dir() else ''} {size}\n".encode())
        with file.open("rb") as stream:
            for at in _places(size):
                stream.seek(at)
                digest.update(stream.read(PIECE))
    return digest.hexdigest()[:LETTERS]


def _places(size: int) -> list[int]:
    """Offsets at which a file is sampled; a small file is read whole."""
    if size <= PIECES * PIECE:
        return list(range(0, size, PIECE))
    return [(size - PIECE) * i // (PIECES - 1) for i in range(PIECES)]
