"""The cache folder, with converted parts and with marks for files that were verified."""

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from filelock import FileLock
from safetensors import SafetensorError

from assistant.errors import ComponentError
from assistant.files.weights import sha256

DIGESTS = "digests.json"
"""File in a converted folder that has the sha256 of the other files by their names."""


def cache_folder() -> Path:
    """The folder in which converted components are kept."""
    chosen = os.environ.get("SALMONN_LIVE_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "salmonn-live"


def _made(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ComponentError(
            f"{folder}: {error.strerror}; set SALMONN_LIVE_CACHE to a folder that can be written"
        ) from error


def dequantised(gguf: Path, digest: str) -> Path:
    """A GGUF model as a Hugging Face folder in fp16. It is converted once, which takes minutes;
    later starts take a second.

    A damaged folder is converted again. When two programs start at once, the second one waits for
    the first one's folder.

    Raises:
        ComponentError: the cache cannot be written, for example because the disk is full.
    """
    folder = cache_folder() / f"llm-{digest[:16]}"
    if _is_whole(folder):
        return folder
    _made(folder.parent)
    try:
        with FileLock(folder.with_suffix(".lock")):
            if not _is_whole(folder):
                _convert(gguf, folder)
    except (OSError, SafetensorError) as error:
        raise ComponentError(
            f"{folder.parent}: the converted LLM cannot be written ({error}); make room, or set "
            "SALMONN_LIVE_CACHE to a folder with some"
        ) from error
    return folder


def _convert(gguf: Path, folder: Path) -> None:
    """Convert beside the folder, and move it to its place when it is complete."""
    from assistant.parts.gguf import convert  # pulls in transformers' loader, needed once

    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        fresh = Path(scratch) / "llm"
        convert(gguf, fresh)
        _seal(fresh)
        if folder.exists():  # damaged, or of an older version
            folder.rename(Path(scratch) / "old")
        fresh.rename(folder)


def _seal(folder: Path) -> None:
    """Write the digests of a new folder's files beside them."""
    digests = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    for name, digest in digests.items():
        _mark([folder / name], digest)
    (folder / DIGESTS).write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")


def _is_whole(folder: Path) -> bool:
    """Whether every file is there, and unchanged."""
    try:
        digests = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
        files = [([folder / name], digest) for name, digest in digests.items()]
        return bool(files) and all(verified(*file) for file in files)
    except (OSError, ValueError, AttributeError):
        return False


def verified(parts: list[Path], digest: str) -> bool:
    """Whether a file, whole or in parts, has this digest. It is read once, and again only if its
    time or size changes."""
    if _marked(parts, digest).exists():
        return True
    if sha256(*parts) != digest:
        return False
    _mark(parts, digest)
    return True


def _mark(parts: list[Path], digest: str) -> None:
    """Remember that a file has this digest, until its time or size changes."""
    mark = _marked(parts, digest)
    _made(mark.parent)
    with suppress(OSError):  # it is read again the next time
        mark.touch()


def _marked(parts: list[Path], digest: str) -> Path:
    stats = [path.stat() for path in parts]
    seen = repr([(there.st_mtime_ns, there.st_size) for there in stats])
    known = hashlib.sha256(seen.encode()).hexdigest()[:16]
    return cache_folder() / "verified" / f"{digest}-{known}"
