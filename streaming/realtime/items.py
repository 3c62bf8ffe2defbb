"""The conversation as clients see it: items in order."""

from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from streaming.realtime.wire import Item, WireError

Json = dict[str, Any]


class Items:
    """Messages and tool calls by id, in order."""

    def __init__(self) -> None:
        self._items: dict[str, Json] = {}

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    def __iter__(self) -> Iterator[Json]:
        return iter(self._items.values())

    def before(self, item_id: str) -> list[str]:
        """Ids of those before it."""
        return list(takewhile(lambda name: name != item_id, self._items))

    def add(self, item: Json, after: str | None = None) -> str | None:
        """Put an item at the end, or after another; "root" is the beginning.

        Returns:
            The id of the one before it.

        Raises:
            WireError: the id is taken, or there is no such item to put it after.
        """
        if item["id"] in self._items:
            raise WireError("item_id_taken", f"item {item['id']!r} exists already", "item.id")
        if after is None:
            before = next(reversed(self._items), None)
            self._items[item["id"]] = item
            return before
        if after != "root" and after not in self._items:
            raise WireError("item_not_found", f"no item {after!r}", "previous_item_id")
        order = list(self._items)
        place = 0 if after == "root" else order.index(after) + 1
        order.insert(place, item["id"])
        self._items[item["id"]] = item
        self._items = {name: self._items[name] for name in order}
        return None if after == "root" else after

    def get(self, item_id: str) -> Json:
        """Raises WireError where there is none."""
        if item_id not in self._items:
            raise WireError("item_not_found", f"no item {item_id!r}", "item_id")
        return self._items[item_id]

    def delete(self, item_id: str) -> None:
        """Raises WireError where there is none."""
        self.get(item_id)
        del self._items[item_id]


def spoken(item_id: str, transcript: str | None = None) -> Json:
    """A user's message that was heard."""
    content = {"type": "input_audio", "transcript": transcript}
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [content],
    }


def said(item_id: str, status: str, text: str | None) -> Json:
    """The assistant's message; no content yet where `text` is None."""
    content = [] if text is None else [{"type": "output_text", "text": text}]
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def created(item: Item, item_id: str) -> Json:
    """A client's item, as the conversation keeps it.

    Raises:
        WireError: it holds what cannot be used here.
    """
    base: Json = {"id": item_id, "object": "realtime.item", "type": item.type}
    if item.type == "function_call":
        fields = {"call_id": item.call_id, "name": item.name, "arguments": item.arguments or "{}"}
        return {**base, "status": "completed", **fields}
    if item.type == "function_call_output":
        return {**base, "status": "completed", "call_id": item.call_id, "output": item.output or ""}
    if item.role is None:
        raise WireError("missing_required_parameter", "a message needs a role", "item.role")
    for part in item.content:
        if part.type not in ("input_text", "output_text"):
            raise WireError(
                "invalid_value",
                f"{part.type} cannot be put into the conversation as an item; append audio with "
                "input_audio_buffer.append",
                "item.content",
            )
    content = [{"type": part.type, "text": part.text or ""} for part in item.content]
    return {**base, "status": "completed", "role": item.role, "content": content}


def text_of(item: Item | Json) -> str:
    """The text of an item; of what was said, its transcript."""
    if isinstance(item, Item):
        return "\n".join(part.text for part in item.content if part.text) or (item.output or "")
    parts = [part.get("text") or part.get("transcript") for part in item.get("content", [])]
    return "\n".join(part for part in parts if part) or str(item.get("output", ""))
