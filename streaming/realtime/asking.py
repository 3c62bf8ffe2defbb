"""What `response.create` asks a session for."""

from typing import Literal

from streaming.controls import Ask, Commit
from streaming.realtime import wire
from streaming.realtime.items import Items, created, text_of
from streaming.realtime.pending import Pending
from streaming.realtime.response import Response
from streaming.realtime.session_config import aloud
from streaming.realtime.shapes import Shapes
from streaming.realtime.tools import Declared
from streaming.realtime.translation import Translation
from streaming.realtime.wire import SessionConfig, WireError

MOST_WAITING = 8
"""Answers that are asked for and not begun; all but one are out of band."""


class Asking:
    """Makes controls of requests, and keeps them until they are answered."""

    def __init__(
        self,
        shapes: Shapes,
        items: Items,
        pending: Pending,
        told: Translation,
        declared: Declared,
        longest: int,
    ) -> None:
        """Args:
        shapes: makes ids.
        items: the conversation.
        pending: what is not answered yet.
        told: what the session told.
        declared: functions that answers may call.
        longest: tokens of an answer that the client does not limit.
        """
        self._shapes, self._items, self._pending, self._told = shapes, items, pending, told
        self._declared, self._longest = declared, longest

    def ask(self, event: wire.CreateResponse, config: SessionConfig) -> Ask | Commit:
        """What the session is to do; `config`: the session's settings.

        Raises:
            WireError: it cannot be followed.
        """
        wanted = event.response
        in_conversation = wanted.conversation != "none"
        requested = self._pending.responses
        active = [r for r in (self._told.response, *requested.values()) if r is not None]
        busy = [r for r in active if r.in_conversation and in_conversation]
        if len(active) > MOST_WAITING:
            busy = active
        if busy:
            raise WireError(
                "conversation_already_has_active_response",
                f"response {busy[0].id} is being made; wait for response.done",
            )
        new, limit = self._shapes.new_id, wanted.max_output_tokens
        response = Response(
            new("resp"),
            new("item"),
            in_conversation,
            wanted.metadata,
            config.max_output_tokens if limit is None else limit,
            event.event_id,
            aloud=aloud(config, wanted.output_modalities),
        )
        text, tools = self._question(wanted), self._declared.of_response(wanted)
        how = in_conversation, *tools, response.aloud
        most = None if limit is None else most_tokens(limit, self._longest)
        if wanted.input is None and in_conversation:
            texts = self._pending.texts
            response.about = [item["id"] for item in self._items if item["id"] in texts]
        requested[response.id] = response
        if active or wanted.input is not None:
            alone = wanted.input is not None
            return Ask(text, response.id, most, alone, *how)
        return Commit(text, response.id, True, most, *how)

    def _question(self, wanted: wire.ResponseConfig) -> str | None:
        """What is asked besides what stands in the conversation.

        Raises:
            WireError: together with what was written it is longer than the model can read, or it is
                not text.
        """
        words, waiting = wanted.instructions or "", self._pending.texts
        if wanted.input is not None:
            texts = [
                self._text(item, f"response.input[{n}]") for n, item in enumerate(wanted.input)
            ]
            words = "\n".join(filter(None, [words, *texts]))
            self._pending.check_text(words, "response.input")
        elif waiting:
            self._pending.check_texts(words, "response")
        else:
            self._pending.check_text(words, "response.instructions")
        return words or None

    def _text(self, item: wire.Item | wire.ItemReference, where: str) -> str:
        if isinstance(item, wire.ItemReference):
            return text_of(self._items.get(item.id))
        if any(part.audio for part in item.content):
            why = (
                "audio is not read here; put it into the conversation with conversation.item.create"
            )
            raise WireError("invalid_value", why, f"{where}.content")
        return text_of(created(item, "", where))


def most_tokens(limit: int | Literal["inf"], longest: int) -> int:
    """Tokens of an answer with a limit; `longest`: of one without."""
    return longest if limit == "inf" else limit
