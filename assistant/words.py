"""What was heard, in words: for LLMs that read no audio tokens."""

from collections.abc import Iterable

from assistant.audio import SAMPLE_RATE
from assistant.hearing import Sound

NOW_S = 1.5
"""A sound that ended no longer ago than this is still there, for whoever talks about it."""


def notes(sounds: Iterable[Sound], now: int) -> str:
    """The names of sounds and how long ago they were, the earliest first, in a line.

    Args:
        sounds: heard.
        now: the sample of the stream at which that is said.
    """
    named = [f"{sound.name}, {_ago(now - sound.end)}" for sound in sounds]
    return f"(Sounds heard: {'; '.join(named) or 'none'}.)"


def _ago(samples: int) -> str:
    seconds = samples / SAMPLE_RATE
    if seconds <= NOW_S:
        return "just now"
    whole = round(seconds)
    return f"{whole} second{'s' if whole > 1 else ''} ago"


def heard(sounds: Iterable[Sound], now: int, transcript: str, asked: str | None = None) -> str:
    """A turn as the LLM reads it.

    Args:
        sounds: that belong to it.
        now: the sample of the stream at which it is over.
        transcript: of what was said.
        asked: a typed question about it, or how to answer this time; None: nothing.
    """
    said = transcript.strip()
    if asked is None:
        return f"{notes(sounds, now)}\n{said or '(Nothing was said.)'}"
    spoken = f'(Speech heard: "{said}")' if said else "(Speech heard: none.)"
    return f"{notes(sounds, now)}\n{spoken}\n{asked}"
