"""The answer that is being given, as server events: its message, its calls, and its end."""

from typing import Any

from streaming.events import EndOfReply, ToolCalled
from streaming.realtime.items import Items, called, said
from streaming.realtime.response import REASONS, Response
from streaming.realtime.shapes import Json, Shapes

PART = {"type": "text", "text": ""}


class Answer:
    """One answer: a message, then calls of functions, each an item of its own."""

    def __init__(
        self, response: Response, shapes: Shapes, items: Items, conversation: str, per_window: int
    ) -> None:
        """Args:
        response: it.
        shapes: makes events.
        items: the conversation.
        conversation: its id.
        per_window: audio tokens of a window, for `usage`.
        """
        self.response = response
        self._shapes, self._items = shapes, items
        self._conversation, self._per_window = conversation, per_window
        self._text: str | None = None  # of the message, once there is one
        self._output: list[Json] = []

    def begin(self) -> list[Json]:
        """The message is begun."""
        self._text = ""
        item = said(self.response.item_id, "in_progress", None)
        return [*self._added(item), self._of_part("content_part.added", part=PART)]

    def delta(self, text: str) -> list[Json]:
        """More of the message."""
        begun = self.begin() if self._text is None else []
        self._text = (self._text or "") + text
        return [*begun, self._of_part("output_text.delta", delta=text)]

    def call(self, event: ToolCalled, item_id: str) -> list[Json]:
        """A function is called; the message is complete.

        Args:
            event: the call.
            item_id: of the item that it is.
        """
        ended = self._message_ended("completed")
        place = {"item_id": item_id, "output_index": len(self._output), "call_id": event.id}
        added = self._added(called(item_id, "in_progress", event.id, event.name, ""))
        whole = {"arguments": event.arguments, "name": event.name}
        return [
            *ended,
            *added,
            self._of_response("function_call_arguments.delta", **place, delta=event.arguments),
            self._of_response("function_call_arguments.done", **place, **whole),
            *self._done(called(item_id, "completed", event.id, event.name, event.arguments)),
        ]

    def end(self, tokens: int, reason: EndOfReply) -> list[Json]:
        """The answer is over.

        Args:
            tokens: that were given out.
            reason: why.
        """
        complete = reason == "complete"
        # Where a call was begun and is not complete, there may be nothing to tell.
        begun = self.begin() if complete and self._text is None and not self._output else []
        ended = self._message_ended("completed" if complete else "incomplete")
        status = {"complete": "completed", "limit": "incomplete"}.get(reason, "cancelled")
        details = None if complete else {"type": status, "reason": REASONS[reason]}
        usage = self.response.usage(tokens, self._per_window)
        shown = self.response.resource(status, self._conversation, details, [*self._output], usage)
        return [*begun, *ended, self._shapes.event("response.done", response=shown)]

    def _message_ended(self, status: str) -> list[Json]:
        if self._text is None or self._output:
            return []
        return [
            self._of_part("output_text.done", text=self._text),
            self._of_part("content_part.done", part={**PART, "text": self._text}),
            *self._done(said(self.response.item_id, status, self._text)),
        ]

    def _added(self, item: Json) -> list[Json]:
        """An item is begun."""
        index = len(self._output)
        begun = dict(item)  # the conversation's will change
        events = [self._of_response("output_item.added", output_index=index, item=begun)]
        if self.response.in_conversation:
            before = self._items.add(item)
            about = {"item": begun, "previous_item_id": before}
            events.append(self._shapes.event("conversation.item.added", **about))
        return events

    def _done(self, item: Json) -> list[Json]:
        """An item is complete."""
        index = len(self._output)
        self._output.append(item)
        events = [self._of_response("output_item.done", output_index=index, item=item)]
        if self.response.in_conversation:
            if item["id"] in self._items:
                self._items.get(item["id"]).update(item)
            events.append(self._shapes.event("conversation.item.done", item=item))
        return events

    def _of_response(self, kind: str, **fields: Any) -> Json:
        return self._shapes.event(f"response.{kind}", response_id=self.response.id, **fields)

    def _of_part(self, kind: str, **fields: Any) -> Json:
        place = {"item_id": self.response.item_id, "output_index": 0, "content_index": 0}
        return self._of_response(kind, **place, **fields)
