"""Items that clients put into a conversation and that are not answered yet."""

from assistant.tools.tool import ToolCall
from streaming.controls import Called, Control, Key, Returned, Write
from streaming.realtime import wire
from streaming.realtime.items import Items, call_of, called, created, returned, text_of
from streaming.realtime.response import Response
from streaming.realtime.shapes import Json
from streaming.realtime.wire import WireError

MOST_CREATED = 1_000
"""Most items that a client may put into the conversation; deleted ones do not count."""


class Pending:
    """Texts and recordings that wait for an answer, and answers that were asked for.

    The client's messages add items, and the session's events remove them. Both use ids, so their
    order does not matter.
    """

    def __init__(
        self,
        items: Items,
        longest_text: int,
        longest_recording_s: float,
        *,
        noted: bool,
        calls: bool,
    ) -> None:
        """Args:
        items: the conversation they are in.
        longest_text: characters of all texts together, and of one.
        longest_recording_s: seconds of all recordings together.
        noted: system messages are read.
        calls: functions are called.
        """
        self._items, self._noted, self._calls = items, noted, calls
        self._longest_text, self._longest_s = longest_text, longest_recording_s
        self._made: set[str] = set()
        self.texts: dict[str, int] = {}
        """Ids of items with an unanswered text, and its length in characters."""

        self.recordings: dict[str, float] = {}
        """Ids of items with an unanswered recording, and its length in seconds."""

        self.recorded: set[str] = set()
        """Ids of items with a recording, answered or not."""

        self.written: set[str] = set()
        """Items with a text, whoever's it is, answered or not."""

        self.responses: dict[str, Response] = {}
        """Answers asked for and not begun, by what the session knows them by; the next one first.
        """

    def put(self, event: wire.CreateItem, item_id: str) -> tuple[Json, str | None]:
        """Put a client's message into the conversation.

        Returns:
            The item, and the id of the one before it.
        """
        item = self._created(event, item_id)
        before = self._items.add(item, event.previous_item_id)
        self._made.add(item_id)
        if item["type"] != "message":
            self.written.add(item_id)
        elif text := self._text(item):
            self.written.add(item_id)
            if item["role"] == "user":
                self.texts[item_id] = len(text)
        if item["type"] == "function_call" or item.get("role") == "assistant":
            self.answered(self._items.before(item_id))
        return item, before

    def _created(self, event: wire.CreateItem, item_id: str) -> Json:
        item = event.item
        if not self._calls or item.type == "message":
            return created(item, item_id, noted=self._noted)
        if item.type == "function_call":
            call = call_of(item)
            return called(item_id, "completed", call.id, call.name, call.arguments)
        if item.call_id is None or not self._items.has_call(item.call_id):
            raise WireError("item_not_found", f"no call {item.call_id!r:.60}", "item.call_id")
        return returned(item_id, item.call_id, item.output or "")

    def _text(self, item: Json) -> str:
        """What is read of an item; a transcript that came with a recording is not."""
        recorded = item["id"] in self.recorded and not _has_text(item)
        return "" if recorded else text_of(item)

    def recording(self, item_id: str, seconds: float) -> None:
        """Add a recording, which becomes an item."""
        self.recordings[item_id] = seconds
        self.recorded.add(item_id)

    def check_item(self, event: wire.CreateItem) -> None:
        """Raises WireError if a message cannot be put into the conversation."""
        if len(self._made) >= MOST_CREATED:
            self._made = {name for name in self._made if name in self._items}
        if len(self._made) >= MOST_CREATED:
            why = f"{MOST_CREATED} items were created; delete some"
            raise WireError("conversation_full", why)
        item = self._created(event, event.item.id or "")
        self._items.check(item["id"], event.previous_item_id)
        for n, part in enumerate(event.item.content):
            self.check_text(part.text or "", f"item.content[{n}].text")
            self.check_text(part.transcript or "", f"item.content[{n}].transcript")
        for field in ("arguments", "output"):
            self.check_text(item.get(field, ""), f"item.{field}")
        if item.get("role") == "user":
            waiting = sum(self.texts.values()) + len(text_of(item))
            self._check_length(waiting, "item.content", "that wait to be answered ")

    def check_recording(self, seconds: float) -> None:
        """Raises WireError if all unanswered recordings together would be longer than a turn."""
        seconds += sum(self.recordings.values())
        if seconds > self._longest_s:
            most = f"a turn: {self._longest_s:g} s"
            why = f"{seconds:.1f} s that wait to be answered are longer than {most}"
            raise WireError("recording_too_long", why, "item.content")

    def check_text(self, text: str, where: str) -> None:
        """Raises WireError, which names the field `where`, if a text is longer than the model can
        read."""
        self._check_length(len(text), where)

    def check_texts(self, text: str, where: str) -> None:
        """The same for a text together with those that were not answered."""
        self._check_length(len(text) + sum(self.texts.values()), where)

    def _check_length(self, characters: int, where: str, which: str = "") -> None:
        if characters > self._longest_text:
            why = f"{characters} characters {which}are more than this model can read; the most are "
            raise WireError("string_above_max_length", f"{why}{self._longest_text}", where)

    def answered(self, names: list[str]) -> None:
        """Remove texts that were answered."""
        for name in names:
            self.texts.pop(name, None)

    def heard(self, names: list[str]) -> None:
        """Remove recordings that were answered."""
        for name in names:
            self.recordings.pop(name, None)

    def delete(self, item_id: str) -> None:
        """Remove an item that was deleted."""
        self._made.discard(item_id)
        self.recorded.discard(item_id)
        self.written.discard(item_id)
        self.answered([item_id])
        self.heard([item_id])


def _has_text(item: Json) -> bool:
    return any(part.get("text") for part in item["content"])


def noted(item: Json, after: Key | None) -> Control:
    """How the session is told of an item.

    Args:
        item: a message, a call, or what came of one.
        after: what it follows; None: the last one.
    """
    match item:
        case {"type": "function_call", "id": name, "call_id": call_id}:
            return Called(ToolCall(call_id, item["name"], item["arguments"]), name, after)
        case {"type": "function_call_output", "id": name, "call_id": call_id}:
            return Returned(call_id, item["output"], name, after)
        case _:
            return Write(text_of(item), item["role"], item["id"], after)
