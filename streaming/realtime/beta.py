"""Shapes of the beta that have one meaning only today, as GA has them."""

from typing import Any

from assistant.config import over

FORMATS = {
    "pcm16": {"type": "audio/pcm", "rate": 24000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}

SESSION = {
    "modalities": ("output_modalities",),
    "input_audio_format": ("audio", "input", "format"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "input_audio_noise_reduction": ("audio", "input", "noise_reduction"),
    "turn_detection": ("audio", "input", "turn_detection"),
    "output_audio_format": ("audio", "output", "format"),
    "voice": ("audio", "output", "voice"),
    "speed": ("audio", "output", "speed"),
    "max_response_output_tokens": ("max_output_tokens",),
    "temperature": ("salmonn", "temperature"),
}
"""Where a setting of a session is now."""

RESPONSE = {"modalities": "output_modalities", "max_response_output_tokens": "max_output_tokens"}
"""The names of an answer's parameters now."""


def session(changes: dict[str, Any]) -> dict[str, Any]:
    """Settings with each beta field where it is now; what is there already wins."""
    moved: dict[str, Any] = {}
    for name in changes.keys() & SESSION.keys():
        *sections, last = SESSION[name]
        place = moved
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = _format(changes[name]) if name.endswith("_format") else changes[name]
    return over(moved, {n: value for n, value in changes.items() if n not in SESSION})


def response(given: Any) -> Any:
    """An answer's parameters by today's names; what is there already wins."""
    if not isinstance(given, dict):
        return given
    moved = {RESPONSE[name]: value for name, value in given.items() if name in RESPONSE}
    return moved | {name: value for name, value in given.items() if name not in RESPONSE}


def _format(value: Any) -> Any:
    return FORMATS.get(value, value) if isinstance(value, str) else value
