"""The conversation as clients see it: items in order."""

from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from assistant.errors import ToolError
from assistant.tools.tool import ToolCall
from streaming.realtime.wire import Content, Item, WireError

Json = dict[str, Any]


class Items:
    """Messages by id, in order."""

    def __init__(self) -> None:
        self._items: dict[str, Json] = {}

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    def __iter__(self) -> Iterator[Json]:
        return iter(self._items.values())

    def before(self, item_id: str) -> list[str]:
        """Ids of those before it."""
        return list(takewhile(lambda name: name != item_id, self._items))

    def check(self, item_id: str, after: str | None) -> None:
        """Raises WireError where `add` would: the id is taken, or there is no item `after`."""
        if item_id in self._items:
            raise WireError("item_id_taken", f"item {item_id!r} exists already", "item.id")
        if after not in (None, "root") and after not in self._items:
            raise WireError("item_not_found", f"no item {after!r}", "previous_item_id")

    def add(self, item: Json, after: str | None = None) -> str | None:
        """Put an item at the end, or after another; "root" is the beginning.

        Returns:
            The id of the one before it.

        Raises:
            WireError: the id is taken, or there is no such item to put it after.
        """
        self.check(item["id"], after)
        if after is None:
            before = next(reversed(self._items), None)
            self._items[item["id"]] = item
            return before
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

    def spoken_part(self, item_id: str) -> int:
        """Which part of a message was heard; 0 where there is no such message yet."""
        content = self._items[item_id]["content"] if item_id in self._items else []
        heard = (n for n, part in enumerate(content) if part["type"] == "input_audio")
        return next(heard, 0)

    def has_call(self, call_id: str) -> bool:
        """Whether a call with this id is there."""
        calls = (item for item in self if item["type"] == "function_call")
        return any(call["call_id"] == call_id for call in calls)

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


def said(item_id: str, status: str, text: str | None, *, aloud: bool = False) -> Json:
    """The assistant's message, written or spoken; no content yet where `text` is None."""
    kind, name = ("output_audio", "transcript") if aloud else ("output_text", "text")
    content = [] if text is None else [{"type": kind, name: text}]
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def called(item_id: str, status: str, call_id: str, name: str, arguments: str) -> Json:
    """A call of a function."""
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def run(item_id: str, name: str, arguments: str, output: str | None, error: str | None) -> Json:
    """A call of a function that is run here, in the shape of one that a server of tools runs: no
    client is asked to run it.

    Args:
        item_id: its id.
        name: of the function.
        arguments: JSON, as text.
        output: what came of it; None: that is not there.
        error: why it failed; None: it did not.
    """
    failure = None if error is None else {"type": "tool_execution_error", "message": error}
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "mcp_call",
        "server_label": "salmonn",
        "name": name,
        "arguments": arguments,
        "output": output,
        "error": failure,
        "approval_request_id": None,
    }


def returned(item_id: str, call_id: str, output: str) -> Json:
    """What came of a call."""
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "function_call_output",
        "status": "completed",
        "call_id": call_id,
        "output": output,
    }


def call_of(item: Item) -> ToolCall:
    """The call that a client put into the conversation.

    Raises:
        WireError: it is none.
    """
    try:
        return ToolCall(item.call_id or "", item.name or "", item.arguments or "")
    except ToolError as error:
        field = "call_id" if error.field == "id" else error.field
        why = str(error).removeprefix(f"{error.field}: ")
        raise WireError("invalid_value", why, f"item.{field}") from error


def created(item: Item, item_id: str, where: str = "item", *, noted: bool = False) -> Json:
    """A client's message, as the conversation keeps it: without its audio.

    Args:
        item: as it came.
        item_id: its id.
        where: the field it came in.
        noted: system messages are read.

    Raises:
        WireError: it holds what is not honoured here, or nothing that could be.
    """
    if item.type != "message":
        why = f"{item.type}: no functions are called here, so there is no call it could belong to"
        raise WireError("unsupported_item", why, f"{where}.type")
    if item.role is None:
        raise WireError("missing_required_parameter", "a message needs a role", f"{where}.role")
    if item.role == "system" and not noted:
        why = "system messages are not read here; use instructions"
        raise WireError("unsupported_item", why, f"{where}.role")
    content = [_part(part, f"{where}.content[{n}]") for n, part in enumerate(item.content)]
    base = {"id": item_id, "object": "realtime.item", "type": "message"}
    return {**base, "status": "completed", "role": item.role, "content": content}


def _part(part: Content, where: str) -> Json:
    match part.type:
        case "input_text" | "output_text":
            if part.audio or part.transcript:
                name = "audio" if part.audio else "transcript"
                raise WireError("invalid_value", f"{part.type} has text only", f"{where}.{name}")
            return {"type": part.type, "text": part.text or ""}
        case "input_audio" if part.audio or part.transcript:
            return {"type": part.type, "transcript": part.transcript}
        case "output_audio" if part.transcript:
            return {"type": part.type, "transcript": part.transcript}
        case "input_audio":
            why = "input_audio needs audio, or a transcript"
            raise WireError("missing_required_parameter", why, f"{where}.audio")
        case "output_audio":
            why = "output_audio needs a transcript: audio alone is not read"
            raise WireError("missing_required_parameter", why, f"{where}.transcript")
        case _:
            raise WireError("invalid_value", f"{part.type} is not read here", f"{where}.type")


def text_of(item: Json) -> str:
    """The text of an item; where it has none, the transcript of what was said."""
    for kind in ("text", "transcript"):
        if parts := [part[kind] for part in item.get("content", []) if part.get(kind)]:
            return "\n".join(parts)
    return ""
