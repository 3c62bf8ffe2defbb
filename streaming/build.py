"""Putting a session together."""

from assistant.conversation import Conversation
from assistant.model import Salmonn
from streaming.config import Config
from streaming.session import Pace, Session
from streaming.vad import choose_endpointer
from streaming.wire_audio import InputDecoder, InputFormat


def build_session(
    model: Salmonn,
    config: Config,
    instruction: str,
    *,
    input_format: InputFormat | None = None,
    pace: Pace | None = None,
) -> Session:
    """A session over `model`, which any number of them may share.

    Args:
        model: shared weights.
        config: endpointing and turns.
        instruction: what is asked about every utterance.
        input_format: of the bytes that come in; 16 kHz PCM16 where None.
        pace: see `Session`.
    """
    turns = config.turns
    talk = Conversation(
        model,
        instruction,
        turns_kept=turns.turns_kept,
        captions=turns.captions,
        ring_s=turns.ring_s,
        silence_db=turns.silence_db,
    )
    return Session(
        InputDecoder(input_format or InputFormat()),
        choose_endpointer(config.endpointing),
        talk,
        turns,
        pace=pace,
    )
