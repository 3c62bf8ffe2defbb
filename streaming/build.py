"""Putting a session together."""

from assistant.conversation import Conversation
from assistant.model import Salmonn
from streaming.config import Config
from streaming.session import Session
from streaming.vad import Endpointer, choose_detector
from streaming.wire_audio import InputDecoder, InputFormat


def build_session(
    model: Salmonn,
    config: Config,
    instruction: str,
    *,
    input_format: InputFormat | None = None,
    tokens_per_frame: int | None = None,
) -> Session:
    """A session over `model`, which any number of them may share.

    Args:
        model: shared weights.
        config: endpointing and turns.
        instruction: what is asked about every utterance.
        input_format: of the bytes that come in; 16 kHz PCM16 where None.
        tokens_per_frame: see `Session`.
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
        Endpointer(choose_detector(config.endpointing), config.endpointing),
        talk,
        turns,
        tokens_per_frame=tokens_per_frame,
    )
