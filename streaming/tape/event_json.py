"""Events as JSON, with the names and fields that tapes, `--json` and other programs rely on."""

import json
from dataclasses import asdict

from streaming.events import (
    Accepted,
    AudioPrefilled,
    Caption,
    Cleared,
    Configured,
    Event,
    FellSilent,
    HeldByHand,
    Recorded,
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
    HeldByHand: "held",
    Recorded: "recorded",
    Cleared: "cleared",
    Configured: "configured",
    Accepted: "accepted",
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
