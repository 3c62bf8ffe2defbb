"""A recording in memory, which is read as a file is."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePath


@dataclass(frozen=True, slots=True)
class Held:
    """The bytes of a file."""

    data: bytes
    name: str
    """What error messages call it."""

    @property
    def suffix(self) -> str:
        """The end of its name, such as ".wav"; empty if it has none."""
        return PurePath(self.name).suffix

    def open(self, mode: str = "rb") -> BytesIO:
        """The bytes, to be read from the beginning."""
        return BytesIO(self.data)

    def __str__(self) -> str:
        return self.name
