"""The messages of a chat, and what they are in a conversation of OpenAI Realtime."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from streaming.realtime.wire import ITEMS, PARTS, TOOLS, Content, CreateItem, Item, WireError
from streaming.server.api.form import Fields, wrong
from streaming.server.large import decoded

Json = dict[str, Any]


class InputAudio(Fields):
    """A recording."""

    data: str
    """The file, in base64."""

    format: str = ""
    """Ignored: the file says what it is."""


class Part(Fields):
    """A part of a message: text, or a recording."""

    type: str
    text: str | None = None
    refusal: str | None = None
    input_audio: InputAudio | None = None
    image_url: Any = None
    file: Any = None


class Function(Fields):
    """A call of a function."""

    name: str
    arguments: str


class Call(Fields):
    """A call that the assistant made."""

    id: str
    type: Literal["function"] = "function"
    function: Function


class Message(Fields):
    """A message."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | Annotated[list[Part], Field(max_length=PARTS, fail_fast=True)] | None = None
    name: str | None = None
    """Ignored."""

    refusal: str | None = None
    """Ignored."""

    audio: Any = None
    annotations: Any = None
    """Ignored."""

    tool_calls: Annotated[list[Call], Field(max_length=TOOLS, fail_fast=True)] | None = None
    tool_call_id: str | None = None


Messages = Annotated[list[Message], Field(min_length=1, max_length=ITEMS, fail_fast=True)]


@dataclass(frozen=True, slots=True)
class Put:
    """What is put into the conversation."""

    event: CreateItem
    where: str
    """The field that it came in."""

    pcm: bytes | None = None
    """The recording in it, 16 kHz PCM16; None: there is none."""


Decode = Callable[[bytes, str, str], Awaitable[bytes]]
"""16 kHz PCM16 of a recording, the field that it came in, and the end of its name."""

Transcribe = Callable[[bytes], Awaitable[str]]
"""What is said in a recording of 16 kHz PCM16."""


class Chat:
    """A chat, as a conversation."""

    def __init__(self, messages: list[Message]) -> None:
        """`messages`: the oldest first."""
        begun = next((n for n, m in enumerate(messages) if not _instructs(m)), len(messages))
        self._messages = list(enumerate(messages))
        self._spoken = self._messages[begun:]
        answers = [n for n, message in self._spoken if message.role == "assistant"]
        self._answered = max(answers, default=-1)

    @property
    def instructions(self) -> str:
        """The system's messages before all others; empty: there are none."""
        first = self._messages[: len(self._messages) - len(self._spoken)]
        return "\n\n".join(filter(None, (_text(message, n) for n, message in first)))

    def check(self, *, reads_words: bool) -> None:
        """Raises RefusedError if the chat asks nothing, or the model cannot read it.

        Args:
            reads_words: the model reads what was said before.
        """
        if not self._spoken or self._spoken[-1][1].role in ("assistant", "system", "developer"):
            raise wrong("messages: the last one has to be a user's, or a tool's", "messages")
        n, last = self._spoken[-1]
        if last.role == "user" and not any(map(_says_something, _parts(last))):
            where = f"messages[{n}].content"
            raise wrong(f"{where}: it is empty", where)
        others = [n for n, message in self._spoken if message.role != "user"]
        if others and not reads_words:
            where = f"messages[{others[0]}]"
            why = "this preset's model answers single questions, and reads no earlier turns"
            raise wrong(f"{where}: {why}", where)

    async def puts(self, decode: Decode, transcribe: Transcribe | None) -> list[Put]:
        """What is put into the conversation, in order.

        A recording in a message that was answered is read as its transcript; what is asked now is
        heard.

        Args:
            decode: reads recordings.
            transcribe: says what is said in one; None: nothing does.

        Raises:
            RefusedError: a message has what is not read here.
        """
        found: list[Put] = []
        for n, message in self._spoken:
            where = f"messages[{n}]"
            if message.role == "tool":
                found.append(_returned(message, n))
                continue
            content: list[Content] = []
            audio: list[bytes] = []
            for place, part in enumerate(_parts(message)):
                at = f"{where}.content[{place}]"
                if part.type != "input_audio":
                    content.append(_written(part, message, at))
                    continue
                pcm = await decode(*await asyncio.to_thread(_recording, part, message, at))
                if n > self._answered:
                    audio.append(pcm)
                elif transcribe is None:
                    why = "this preset has nothing to read what was said before with"
                    raise wrong(f"{at}: {why}", at)
                else:
                    content.append(Content(type="input_text", text=await transcribe(pcm)))
            found += _put(message, where, content, b"".join(audio) if audio else None)
        return found


def _instructs(message: Message) -> bool:
    return message.role in ("system", "developer")


def _parts(message: Message) -> list[Part]:
    if isinstance(message.content, list):
        return message.content
    return [] if message.content is None else [Part(type="text", text=message.content)]


def _says_something(part: Part) -> bool:
    return part.type != "text" or part.text is None or bool(part.text.strip())


def _text(message: Message, n: int) -> str:
    """The text of a message that has nothing else."""
    parts = [
        _written(part, message, f"messages[{n}].content[{place}]")
        for place, part in enumerate(_parts(message))
    ]
    return "\n".join(part.text or "" for part in parts)


def _written(part: Part, message: Message, where: str) -> Content:
    match part.type:
        case "text" if part.text is not None:
            text = part.text
        case "refusal" if part.refusal is not None:
            text = part.refusal
        case "text" | "refusal":
            raise wrong(f"{where}.{part.type}: missing", f"{where}.{part.type}")
        case _:
            why = "only text is read here, and input_audio of users"
            raise wrong(f"{where}.type: {part.type:.20}: {why}", f"{where}.type")
    kind: Any = "output_text" if message.role == "assistant" else "input_text"
    return Content(type=kind, text=text)


def _recording(part: Part, message: Message, where: str) -> tuple[bytes, str, str]:
    where = f"{where}.input_audio"
    if message.role != "user" or part.input_audio is None:
        raise wrong(f"{where}: missing, or not a user's", where)
    where, name = f"{where}.data", part.input_audio.format
    try:
        data = decoded(part.input_audio.data, where)
    except WireError as error:
        raise wrong(f"{where}: {error}", where) from error
    return data, where, f".{name}" if name.isalnum() and len(name) < 8 else ""


def _put(message: Message, where: str, content: list[Content], pcm: bytes | None) -> Iterator[Put]:
    """A message, and the calls in it."""
    if message.audio is not None:
        why = "earlier answers are not kept here; send their words as content"
        raise wrong(f"{where}.audio: {why}", f"{where}.audio")
    if pcm is not None:  # the audio itself is given apart
        content = [*content, Content(type="input_audio", audio="-")]
    role: Any = "system" if _instructs(message) else message.role
    if content:
        item = Item(type="message", role=role, content=content)
        yield Put(CreateItem(type="conversation.item.create", item=item), where, pcm)
    for n, call in enumerate(message.tool_calls or []):
        item = Item(type="function_call", call_id=call.id, **call.function.model_dump())
        event = CreateItem(type="conversation.item.create", item=item)
        yield Put(event, f"{where}.tool_calls[{n}]")


def _returned(message: Message, n: int) -> Put:
    """What came of a call."""
    item = Item(type="function_call_output", call_id=message.tool_call_id, output=_text(message, n))
    event = CreateItem(type="conversation.item.create", item=item)
    return Put(event, f"messages[{n}]")


def tools_of(declared: list[Json]) -> list[Json]:
    """Functions as OpenAI Realtime has them.

    Raises:
        RefusedError: one is no function.
    """
    found = []
    for n, tool in enumerate(declared):
        match tool:
            case {"type": "function", "function": {"name": str(), **rest} as function}:
                known = {"description", "parameters", "strict"}
                if others := sorted(map(str, rest.keys() - known)):
                    where = f"tools[{n}].function.{others[0]:.60}"
                    raise wrong(f"unknown parameter: {where}", where, "unknown_parameter")
                found.append({"type": "function"} | {k: v for k, v in function.items() if v})
            case _:
                where = f"tools[{n}]"
                raise wrong(f"{where}: no function with a name", where)
    return found


def choice_of(wanted: Any) -> Any:
    """Whether a function is called, as OpenAI Realtime has it."""
    match wanted:
        case {"type": "function", "function": {"name": str(name)}}:
            return {"type": "function", "name": name}
        case _:
            return wanted


def call(item: Json, index: int | None = None) -> Json:
    """A call, as chats have it.

    Args:
        item: the same as an item of a conversation.
        index: which one it is, where the answer is streamed.
    """
    function = {"name": item["name"], "arguments": item["arguments"]}
    whole = {"id": item["call_id"], "type": "function", "function": function}
    return whole if index is None else {"index": index, **whole}
