"""What trains, what chooses and what reports share no clip and no source."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from assistant.errors import ConfigError
from lab import manifest

Named = tuple[str, Path]
"""A corpus: its name and its manifest."""


def require_apart(train: Iterable[Named], choose: Iterable[Named], report: Iterable[Named]) -> None:
    """See that three groups of corpora share no clip, no source recording and no sentence.

    Raises:
        ConfigError: two of them do; the corpora and what they share are named.
    """
    seen: dict[str, tuple[str, str]] = {}
    for use, corpora in (("trains", train), ("chooses", choose), ("reports", report)):
        for corpus, path in corpora:
            for origin in _origins(path):
                other_use, other = seen.setdefault(origin, (use, corpus))
                if other_use != use:
                    raise ConfigError(
                        f"{corpus}: {origin!r} is in {other}, too, which {other_use}; "
                        f"this corpus {use}"
                    )


def _origins(path: Path) -> Iterator[str]:
    for row in manifest.read(path):
        yield str((path.parent / row.audio).resolve())
        yield from row.origins(path.parent)
