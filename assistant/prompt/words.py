"""What was heard, in words: for LLMs that read no audio tokens."""

from collections.abc import Iterable

from assistant.ear.noticing import Sound
from assistant.rates import SAMPLE_RATE

NOW_S = 1.5
"""A sound that ended no longer ago than this is still there, for whoever talks about it."""


def in_words(sounds: str, said: str) -> str:
    """A turn as the LLM reads it: the names of sounds, or `none`, and what is said."""
    return f"(Sounds heard: {sounds}.)\n{said}"


def heard(sounds: Iterable[Sound], now: int, transcript: str, asked: str | None = None) -> str:
    """The same from what was heard, each sound with how long ago it was, the earliest first, and
    guesses as such.

    Args:
        sounds: that belong to the turn.
        now: the sample of the stream at which it is over.
        transcript: of what was said.
        asked: a typed question about it, or how to answer this time; None: nothing.
    """
    named = "; ".join(f"{_named(sound)}, {_ago(now - sound.end)}" for sound in sounds) or "none"
    said = transcript.strip()
    if asked is None:
        return in_words(named, said or "(Nothing was said.)")
    spoken = f'(Speech heard: "{said}")\n' if said else ""
    return in_words(named, spoken + asked)


def _named(sound: Sound) -> str:
    return sound.name if sound.is_sure else f"perhaps {sound.name}"


def _ago(samples: int) -> str:
    seconds = samples / SAMPLE_RATE
    if seconds <= NOW_S:
        return "just now"
    whole = round(seconds)
    return f"{whole} second{'s' if whole > 1 else ''} ago"
