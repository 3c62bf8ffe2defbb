"""What the service says it offers."""

from importlib.metadata import version
from typing import Any

from wyoming.info import (
    AsrModel,
    AsrProgram,
    Attribution,
    HandleModel,
    HandleProgram,
    Info,
    TtsProgram,
    TtsVoice,
)

PROGRAM = "salmonn-live"
"""The name of every program, and of what Home Assistant shows."""

LANGUAGES = ["en"]
_BY = Attribution("salmonn-live", "https://arxiv.org/abs/2310.13289")


def info(preset: str, voice: str | None, *, reads: bool) -> Info:
    """What is offered.

    Args:
        preset: the model's.
        voice: who speaks; None: nobody does.
        reads: speech is read, too.
    """
    number = version(PROGRAM)

    def about(name: str, what: str) -> dict[str, Any]:
        told = {"name": name, "attribution": _BY, "installed": True}
        return {**told, "description": what, "version": number}

    asr = AsrProgram(
        **about(PROGRAM, "Reads speech while it is spoken"),
        models=[AsrModel(**about(preset, f"Preset {preset}"), languages=LANGUAGES)],
        supports_transcript_streaming=True,
        requires_external_vad=False,
        prefers_auto_gain_enabled=False,  # sounds are heard, too, and are what a filter takes away
        prefers_noise_reduction_enabled=False,
    )
    handle = HandleProgram(
        **about(PROGRAM, "Answers from what was heard"),
        models=[HandleModel(**about(preset, f"Preset {preset}"), languages=LANGUAGES)],
        supports_handled_streaming=True,
    )
    speakers = [TtsVoice(**about(voice, voice), languages=LANGUAGES)] if voice else []
    tts = TtsProgram(
        **about(PROGRAM, "Speaks while the text comes"),
        voices=speakers,
        supports_synthesize_streaming=True,
    )
    return Info(asr=[asr] if reads else [], handle=[handle], tts=[tts] if voice else [])
