"""Puts a server together."""

from collections.abc import Callable

from assistant.errors import ComponentError, ConfigError
from assistant.model import Salmonn
from streaming.build import make_session, session_spec
from streaming.config import Config
from streaming.dialogue.session import Session
from streaming.realtime.protocol import Realtime
from streaming.realtime.session_config import Settings, initial
from streaming.server.app import Assistant

CHARACTERS = 8
"""Characters of a text per position of the LLM's context; more cannot fit in any language."""

UNLIMITED = 8192
"""Assumed positions of an LLM whose configuration states no limit."""


def build_assistant(model: Salmonn, config: Config, instruction: str) -> Assistant:
    """Make `model` ready to be served.

    Args:
        model: shared weights.
        config: endpointing and turns that every session begins with.
        instruction: what is asked about every turn, until a client wishes otherwise.

    Raises:
        ConfigError: it asks for what the preset lacks.
    """
    settings = Settings(config.turns, config.endpointing)
    transcribes, named = _has_decoder(model), model.tagger is not None
    if config.turns.captions and not transcribes:
        raise ConfigError("turns.captions: the preset's Whisper has no decoder to read with")
    if config.turns.sound_events and not named:
        raise ConfigError("turns.sound_events: the preset has no sound_tagger")

    spec = session_spec(model, config, instruction)

    def new_session() -> Session:
        return make_session(model, spec)

    def new_protocol(name: str, new_id: Callable[[str], str], expires_at: int) -> Realtime:
        return Realtime(
            initial(
                settings,
                id=name,
                model=config.preset,
                expires_at=expires_at,
                instructions=instruction,
            ),
            settings,
            new_id,
            longest=model.config.generation.max_new_tokens,
            longest_text=CHARACTERS * (model.llm.context or UNLIMITED),
            audio_tokens_per_window=model.ear.aligner.per_window,
            can_transcribe=transcribes,
            can_name_sounds=named,
        )

    return Assistant(config.preset, new_session, new_protocol)


def _has_decoder(model: Salmonn) -> bool:
    try:
        return model.captions is not None
    except ComponentError:
        return False
