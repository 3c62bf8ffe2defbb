"""Events as JSON: names and fields that tapes, `--json` and other programs rely on."""

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
    Held,
    Recorded,
    Refused,
    ReplyDelta,
    ReplyEnded,
    ReplyStarted,
    SoundStarted,
    SpeechEnded,
    SpeechStarted,
    ToolCalled,
)

_NAMES: dict[type[Event], str] = {
    SpeechStarted: "speech.started",
    SpeechEnded: "speech.ended",
    Held: "held",
    Recorded: "recorded",
    Cleared: "cleared",
    Configured: "configured",
    Accepted: "accepted",
    FellSilent: "fell.silent",
    AudioPrefilled: "audio.prefilled",
    Caption: "caption",
    ReplyStarted: "reply.started",
    ReplyDelta: "reply.delta",
    ToolCalled: "tool.called",
    ReplyEnded: "reply.ended",
    SoundStarted: "sound.started",
    Refused: "refused",
}


def to_json(event: Event) -> str:
    """One line of JSON; times are sample indices at 16 kHz. Lists of nothing are left out."""
    told = {name: value for name, value in asdict(event).items() if value != ()}
    return json.dumps({"type": _NAMES[type(event)], **told}, ensure_ascii=False)
