"""Events as JSON: names and fields that tapes, `--json` and other programs rely on."""

import json
from dataclasses import asdict

from streaming.events import (
    AudioPrefilled,
    Caption,
    Event,
    FellSilent,
    Refused,
    ReplyDelta,
    ReplyEnded,
    ReplyStarted,
    SoundStarted,
    SpeechEnded,
    SpeechStarted,
)

_NAMES: dict[type[Event], str] = {
    SpeechStarted: "speech.started",
    SpeechEnded: "speech.ended",
    FellSilent: "fell.silent",
    AudioPrefilled: "audio.prefilled",
    Caption: "caption",
    ReplyStarted: "reply.started",
    ReplyDelta: "reply.delta",
    ReplyEnded: "reply.ended",
    SoundStarted: "sound.started",
    Refused: "refused",
}


def to_json(event: Event) -> str:
    """One line of JSON; times are sample indices at 16 kHz."""
    return json.dumps({"type": _NAMES[type(event)], **asdict(event)}, ensure_ascii=False)
