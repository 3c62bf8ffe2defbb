"""Puts together what answers requests that have a body."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streaming.dialogue.narrator import Narrator
from streaming.server.api.chat import Answerer, Chats
from streaming.server.api.line import Line
from streaming.server.api.sound import Decoding
from streaming.server.api.speech import Speaking
from streaming.server.api.transcriptions import Transcriptions
from streaming.server.exchange import Work
from streaming.server.places import Places

RECORDING_BYTES = 25 * 2**20
"""Longest form with a recording."""

CHAT_BYTES = 21 * 2**20
"""Longest chat: 15 MiB of recordings in base64, and what is written."""

TEXT_BYTES = 256 * 2**10
"""Longest request for speech."""


@dataclass(frozen=True, slots=True)
class Makers:
    """What requests need of the model."""

    new_narrator: Callable[[float], Narrator] | None
    """Makes somebody who speaks, so many times as fast as usual; None: there is no voice."""

    answerer: Answerer
    """Answers chats; its voice is the narrator's."""


def works(makers: Makers, places: Places) -> Mapping[str, Work]:
    """What is done with requests that have a body, by the path of the address.

    Args:
        makers: of the model.
        places: of the server.
    """
    line, decoding = Line(places), Decoding()
    reads = Transcriptions(line, decoding, makers.answerer.new_reader)
    speaks = Speaking(line, makers.new_narrator, makers.answerer.voice)
    chats = Chats(line, decoding, makers.answerer)
    return {
        "/v1/audio/transcriptions": Work(RECORDING_BYTES, reads.do),
        "/v1/audio/speech": Work(TEXT_BYTES, speaks.do),
        "/v1/chat/completions": Work(CHAT_BYTES, chats.do),
    }
