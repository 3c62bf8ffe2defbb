"""Transcripts with times, as files of subtitles."""

from collections.abc import Sequence
from typing import Protocol


class Timed(Protocol):
    """A text and its times, in seconds."""

    @property
    def start(self) -> float:
        """Its beginning."""

    @property
    def end(self) -> float:
        """Its end."""

    @property
    def text(self) -> str:
        """One line or more."""


def srt(segments: Sequence[Timed]) -> str:
    """Subtitles as SubRip has them."""
    cues = [
        f"{number}\n{_time(one.start, ',')} --> {_time(one.end, ',')}\n{one.text}\n"
        for number, one in enumerate(segments, 1)
    ]
    return "\n".join(cues)


def vtt(segments: Sequence[Timed]) -> str:
    """Subtitles as WebVTT has them."""
    cues = [
        f"{_time(one.start, '.')} --> {_time(one.end, '.')}\n{_escaped(one.text)}\n"
        for one in segments
    ]
    return "\n".join(["WEBVTT\n", *cues])


def _time(seconds: float, point: str) -> str:
    whole, thousandths = divmod(round(1000 * seconds), 1000)
    minutes, second = divmod(whole, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}{point}{thousandths:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
