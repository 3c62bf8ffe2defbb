"""Services for tests: with a scripted model, in which every sample is known, or with a tiny one."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from assistant.files.presets import shipped_config
from assistant.model import Salmonn
from streaming.config import ServerConfig
from streaming.config_file import load_config
from streaming.dialogue.narrator import Narrator
from streaming.dialogue.session import Session
from streaming.server.listen import listen
from streaming.server.log import Log
from streaming.server.places import Places
from streaming.wyoming.build import build_offer
from streaming.wyoming.connection import Offer
from streaming.wyoming.info import info
from streaming.wyoming.service import Service, running
from tests.streaming.fakes import CONFIG, TURNS, Echo, Speaker, session

READING = TURNS.model_copy(update={"captions": True, "auto_reply": False, "context_s": 30.0})


def scripted(
    listener: Callable[[], Echo] = Echo,
    *,
    voice: bool = True,
    reads: bool = True,
    words: bool = True,
) -> Offer:
    """What a service does whose model is a script."""

    def new_reader(silence_s: float) -> Session:
        config = CONFIG.model_copy(update={"min_silence_frames": round(50 * silence_s)})
        return session(listener(), READING, pace=None, config=config)

    return Offer(
        info("fake", "speaker" if voice else None, reads=reads),
        new_reader if reads else None,
        lambda: session(listener(), pace=None),
        (lambda: Narrator(Speaker())) if voice else None,
        "speaker" if voice else None,
        reads_words=words,
    )


def of_model(model: Salmonn) -> Offer:
    """What a service does with the tiny model, and with the real voice."""
    return build_offer(model, load_config(shipped_config(), "tiny"), "Answer.")


@asynccontextmanager
async def serving(offer: Offer | None = None, **changes: Any) -> AsyncIterator[tuple[Places, int]]:
    """A service on loopback, and its port."""
    limits = {"port": 0, "connects_per_s": 1000.0, "sessions": 8, **changes}
    config = ServerConfig(**limits)
    places = Places(config.sessions)
    try:
        service = Service(offer or scripted(), config, places, Log())
        async with running(service, listen(config)) as port:
            yield places, port
    finally:
        places.stop()
