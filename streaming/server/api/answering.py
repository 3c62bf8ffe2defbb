"""One answer of a session that a request has for itself, in the words of OpenAI Realtime."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from assistant.voice.voice import SAMPLE_BYTES
from streaming.controls import Played
from streaming.events import Event, ReplyAudio, ReplyStarted
from streaming.realtime.protocol import Output, Realtime
from streaming.realtime.tools import NONE_HERE
from streaming.realtime.wire import CreateResponse, ResponseConfig, SessionUpdate, WireError
from streaming.server.api.form import wrong
from streaming.server.api.messages import Put
from streaming.server.http import RefusedError
from streaming.server.large import in_pieces
from streaming.server.place import Place

Json = dict[str, Any]

NAMES = {
    "session.instructions": "messages",
    "session.salmonn.temperature": "temperature",
    "session.salmonn.top_p": "top_p",
    "response.max_output_tokens": "max_completion_tokens",
    "response": "messages",
}
"""What fields of OpenAI Realtime are called in a chat, where that is not the end of their name."""

CODES = {"context_full": "context_length_exceeded"}
"""What errors are called in a chat."""


class Answering:
    """A session: settings and messages go in, and the events of the answer come out."""

    def __init__(self, place: Place, protocol: Realtime) -> None:
        """Args:
        place: the session's.
        protocol: of the session.
        """
        self._place, self._protocol = place, protocol
        self._turn = self._played = 0  # the answer's number, and its samples that were passed on
        self._give(protocol.begin())

    def _give(self, output: Output, where: str = "") -> None:
        """Give the session its input.

        Raises:
            RefusedError: something cannot be followed; `where`: the field that it came in.
        """
        for told in output.events:
            if told["type"] == "error":
                raise _refused(told["error"], where)
        self._place.give(*output.inputs)

    def configure(self, session: Json) -> None:
        """Change settings.

        Raises:
            RefusedError: they cannot be followed.
        """
        self._give(self._protocol.follow(SessionUpdate(type="session.update", session=session)))
        if session.get("tools") and not self._protocol.config.tools:
            raise wrong(f"tools: {NONE_HERE}", "tools")

    async def put(self, put: Put) -> None:
        """Put a message into the conversation.

        Raises:
            RefusedError: it cannot be there.
        """
        if put.pcm is None:
            self._give(self._protocol.follow(put.event), put.where)
            return
        try:
            self._give(self._protocol.begin_recording(put.event, len(put.pcm)))
        except WireError as error:
            told = {"code": error.code, "message": str(error), "param": error.param}
            raise _refused(told, put.where) from error
        for piece in in_pieces(put.pcm):
            self._place.give(*self._protocol.hear(piece))
            await asyncio.sleep(0)  # others first
        self._give(self._protocol.end_recording(put.event), put.where)

    def ask(self, most: int | None) -> None:
        """Ask for the answer.

        Args:
            most: tokens that it may have; None: as many as the model makes.

        Raises:
            RefusedError: it cannot be given.
        """
        wanted = ResponseConfig(max_output_tokens=most)
        self._give(self._protocol.follow(CreateResponse(type="response.create", response=wanted)))

    async def events(self) -> AsyncIterator[Json]:
        """Server events about the answer, up to the last one, `response.done`.

        Raises:
            RefusedError: there is no answer.
            SessionFailedError: the session failed.
        """
        while True:
            event = await self._place.next()
            self._pass_on(event)
            told = self._protocol.translate(event)
            for error in (one["error"] for one in told if one["type"] == "error"):
                raise _refused(error, "")
            for one in told:
                yield one
                if one["type"] == "response.done":
                    return

    def _pass_on(self, event: Event) -> None:
        """Audio is not played here: the next clause may be made at once."""
        match event:
            case ReplyStarted(turn=turn):
                self._turn = turn
            case ReplyAudio(pcm=pcm):
                self._played += len(pcm) // SAMPLE_BYTES
                self._place.give(Played(self._turn, self._played))
            case _:
                pass


def _refused(error: Json, where: str) -> RefusedError:
    """An error of OpenAI Realtime, as one of a chat."""
    param: str = error["param"] or ("" if where else "messages")
    if param in NAMES:
        param = NAMES[param]
    elif param.startswith("item"):
        param = where + param.removeprefix("item")
    else:
        param = param.removeprefix("session.").removeprefix("response.") or where
    told, code = error["message"], str(error["code"])
    return wrong(f"{param}: {told}", param, CODES.get(code, code))
