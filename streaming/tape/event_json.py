"""Events as JSON, with the names and fields that tapes, `--json` and other programs rely on."""

import json
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from streaming.events import (
    Accepted,
    AudioPrefilled,
    Caption,
    Cleared,
    Configured,
    Dismissed,
    Event,
    FellAsleep,
    FellSilent,
    HeldByHand,
    Notified,
    Recorded,
    Refused,
    ReplyAudio,
    ReplyDelta,
    ReplyEnded,
    ReplyStarted,
    SoundStarted,
    SpeechEnded,
    SpeechStarted,
    ToolCalled,
    ToolReturned,
    Woken,
)

_NAMES: dict[type[Event], str] = {
    SpeechStarted: "speech.started",
    SpeechEnded: "speech.ended",
    Dismissed: "dismissed",
    FellAsleep: "fell.asleep",
    Woken: "woken",
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
    ReplyAudio: "reply.audio",
    ToolCalled: "tool.called",
    ToolReturned: "tool.returned",
    Notified: "notified",
    ReplyEnded: "reply.ended",
    SoundStarted: "sound.started",
    Refused: "refused",
}


def to_json(event: Event) -> str:
    """One line of JSON; times are sample indices at 16 kHz, those of words at the voice's rate.
    Lists of nothing are left out.

    Speech is told by its length and a digest: the same text is the same samples, and is there.
    """
    told = _spoken(event) if isinstance(event, ReplyAudio) else _fields(event)
    return json.dumps({"type": _NAMES[type(event)], **told}, ensure_ascii=False)


def _fields(event: Event) -> dict[str, Any]:
    return {name: value for name, value in asdict(event).items() if value != ()}


def _spoken(event: ReplyAudio) -> dict[str, Any]:
    words = [[word.begin, word.end] for word in event.words]
    digest = sha256(event.pcm).hexdigest()[:16]
    return {"text": event.text, "samples": len(event.pcm) // 2, "sha256": digest, "words": words}
