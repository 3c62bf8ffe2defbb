"""Puts the service together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from assistant.model import Salmonn
from assistant.voice.choose import load_voice
from streaming.build import make_narrator, make_session, session_spec
from streaming.config import Config, ServerConfig
from streaming.dialogue.session import Session
from streaming.server.build import has_decoder
from streaming.server.listen import Listening
from streaming.server.log import Log
from streaming.server.places import Places
from streaming.spec import SessionSpec
from streaming.wyoming.announce import addresses, announced
from streaming.wyoming.connection import Offer
from streaming.wyoming.info import info
from streaming.wyoming.service import Service, running

FRAMES_PER_S = 50


def build_offer(model: Salmonn, config: Config, instruction: str) -> Offer:
    """What the service can do with `model`.

    Args:
        model: shared weights.
        config: settings of endpointing, turns and voice.
        instruction: the instruction for every answer.

    Raises:
        AssistantError: the voice cannot be used here.
    """
    spec = session_spec(model, config, instruction)
    voice = load_voice(config.voice.name)  # so that nobody waits for it
    reads = has_decoder(model)

    return Offer(
        info(config.preset, None if voice is None else voice.name, reads=reads),
        partial(_make_reader, model, spec) if reads else None,
        partial(make_session, model, spec),
        None if voice is None else partial(make_narrator, config.voice),
        None if voice is None else voice.name,
        reads_words=config.model.reads == "words",
    )


def _make_reader(model: Salmonn, spec: SessionSpec, silence_s: float) -> Session:
    return make_session(model, _reading(spec, silence_s))


def _reading(spec: SessionSpec, silence_s: float) -> SessionSpec:
    """Sessions that read one stream, all of which the question at its end may be about."""
    turns = spec.turns.model_copy(
        update={"captions": True, "auto_reply": False, "context_s": spec.turns.ring_s}
    )
    silent = max(spec.endpointing.pause_frames, round(silence_s * FRAMES_PER_S))
    detector = spec.endpointing.detector if spec.endpointing.detector != "manual" else "silero"
    endpointing = spec.endpointing.model_copy(
        update={"min_silence_frames": silent, "detector": detector, "eagerness": None}
    )
    return spec.model_copy(update={"turns": turns, "endpointing": endpointing})


@asynccontextmanager
async def serving(
    offer: Offer, config: ServerConfig, places: Places, listening: Listening, *, announce: bool
) -> AsyncIterator[tuple[int, str | None]]:
    """A running service, announced in the network where others reach it.

    Args:
        offer: what it can do.
        config: the limits of what clients may use.
        places: for its sessions.
        listening: its sockets.
        announce: whether it is announced.

    Yields:
        Its port, and its name in the network; None: it is not announced.
    """
    at = addresses(listening.sockets) if announce else []
    async with running(Service(offer, config, places, Log()), listening) as port:
        if not at:
            yield port, None
            return
        async with announced(port, at) as name:
            yield port, name
