"""Putting a server together."""

from collections.abc import Callable
from dataclasses import replace

from assistant.errors import ComponentError
from assistant.model import Salmonn
from streaming.build import build_session
from streaming.config import Config
from streaming.realtime.protocol import Realtime
from streaming.realtime.session_config import FRAME_MS, Settings
from streaming.realtime.wire import Audio, AudioInput, ServerVad, SessionConfig
from streaming.server.app import Assistant
from streaming.session import Session


def build_assistant(model: Salmonn, config: Config, instruction: str) -> Assistant:
    """What a server needs of `model`.

    Args:
        model: shared weights.
        config: endpointing and turns to begin with.
        instruction: what is asked about every turn, until a client wishes otherwise.
    """
    named = model.tagger is not None
    turns = config.turns.model_copy(update={"sound_events": named})
    settled = replace(config, turns=turns)

    def new_session() -> Session:
        return build_session(model, settled, instruction)

    silence_ms = FRAME_MS * config.endpointing.min_silence_frames
    detection = ServerVad(type="server_vad", silence_duration_ms=silence_ms)
    audio = Audio(input=AudioInput(turn_detection=detection))

    def new_protocol(name: str, new_id: Callable[[str], str], expires_at: int) -> Realtime:
        return Realtime(
            SessionConfig(
                id=name,
                model=config.preset,
                expires_at=expires_at,
                instructions=instruction,
                audio=audio,
            ),
            Settings(turns, config.endpointing),
            new_id,
            longest=model.config.generation.max_new_tokens,
            audio_tokens_per_window=model.config.aligner.queries,
            can_transcribe=transcribes,
            can_name_sounds=named,
        )

    transcribes = _has_decoder(model)
    return Assistant(config.preset, new_session, new_protocol)


def _has_decoder(model: Salmonn) -> bool:
    try:
        return model.captions is not None
    except ComponentError:
        return False
