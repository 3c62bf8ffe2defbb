"""What a client may ask of a session, apart from hearing. In order with the audio."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ask:
    """A typed question about everything in the ring; it takes the place of a reply under way."""

    text: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop the reply; what was given out of it stays said."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What was said is all: answer it now."""


Control = Ask | Cancel | Commit
