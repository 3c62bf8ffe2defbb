"""The answer that is being given, as server events: its message, its calls, and its end."""

import base64
import json
from typing import Any

from streaming.events import EndOfReply, ReplyAudio, ToolCalled
from streaming.realtime.items import Items, called, run, said
from streaming.realtime.response import REASONS, Response
from streaming.realtime.shapes import Json, Shapes
from streaming.realtime.speech import Spoken


class Answer:
    """One answer: a message, then calls of functions, each an item of its own. Where the message
    is spoken, calls are told when all of it was."""

    def __init__(
        self,
        response: Response,
        shapes: Shapes,
        items: Items,
        conversation: str,
        per_window: int,
        spoken: Spoken | None = None,
    ) -> None:
        """Args:
        response: it.
        shapes: makes events.
        items: the conversation.
        conversation: its id.
        per_window: audio tokens of a window, for `usage`.
        spoken: its message, as it is spoken; None: it is text.
        """
        self.response = response
        self._shapes, self._items = shapes, items
        self._conversation, self._per_window = conversation, per_window
        self._spoken = spoken
        self._text: str | None = None  # of the message, once there is one
        self._calls: list[tuple[ToolCalled, str]] = []  # that come when the message was spoken
        self._runs: dict[str, tuple[ToolCalled, str]] = {}  # those that give nothing yet, by id
        self._places: dict[str, int] = {}  # of its items
        self._output: dict[int, Json] = {}  # those that are complete
        self._is_over = False  # its message

    def begin(self) -> list[Json]:
        """The message is begun."""
        self._text = ""
        item = said(self.response.item_id, "in_progress", None)
        return [*self._added(item), self._of_part("content_part.added", part=self._part(""))]

    def delta(self, text: str) -> list[Json]:
        """More of the message; where it is spoken, its transcript comes with its audio."""
        begun = self.begin() if self._text is None else []
        self._text = (self._text or "") + text
        return begun if self._spoken else [*begun, self._of_part("output_text.delta", delta=text)]

    def speak(self, audio: ReplyAudio) -> list[Json]:
        """More of the message, spoken: text comes right before the sound that it begins with."""
        assert self._spoken is not None, "the answer is text"
        told = []
        if audio.text:
            told.append(self._of_part("output_audio_transcript.delta", delta=audio.text))
        return told + self._sound(self._spoken.take(audio)) + self._due_calls()

    def _sound(self, audio: bytes) -> list[Json]:
        encoded = base64.b64encode(audio).decode()
        return [self._of_part("output_audio.delta", delta=encoded)] if audio else []

    def call(self, event: ToolCalled, item_id: str) -> list[Json]:
        """A function is called; the message is complete, and maybe still spoken.

        Args:
            event: the call.
            item_id: of the item that it is.
        """
        self._calls.append((event, item_id))
        return self._due_calls()

    def run(self, event: ToolCalled, item_id: str) -> list[Json]:
        """A function is called that is run here; see `call`."""
        self._runs[event.id] = event, item_id
        added = self._added(run(item_id, event.name, "", None, None))
        place = {"item_id": item_id, "output_index": self._places[item_id]}
        whole = {**place, "arguments": event.arguments}
        return [
            *added,
            self._of_response("mcp_call_arguments.done", **whole),
            self._shapes.event("response.mcp_call.in_progress", **place),
        ]

    def ran(self, call: str, output: str) -> list[Json]:
        """A function that is run here gave something.

        Args:
            call: the call's id.
            output: JSON, as text.
        """
        event, item_id = self._runs.pop(call)
        given = json.loads(output)
        error = given.get("error") if isinstance(given, dict) else None
        told = None if error is None else str(error)
        place = {"item_id": item_id, "output_index": self._places[item_id]}
        if told is None:
            over = self._shapes.event("response.mcp_call.completed", **place)
        else:
            over = self._shapes.event("response.mcp_call.failed", **place)
        return [over, *self._done(run(item_id, event.name, event.arguments, output, told))]

    def _due_calls(self) -> list[Json]:
        """The calls that wait, once all of the message was spoken."""
        left = self._spoken is not None and self._spoken.characters < len(self._text or "")
        return [] if left or not self._calls else self._told_calls("completed")

    def _told_calls(self, status: str) -> list[Json]:
        """The message's end, and the calls that waited for it; `status`: the message's."""
        events = self._message_ended(status)
        for event, item_id in self._calls:
            events += self._called(event, item_id)
        self._calls = []
        return events

    def _called(self, event: ToolCalled, item_id: str) -> list[Json]:
        added = self._added(called(item_id, "in_progress", event.id, event.name, ""))
        index = self._places[item_id]
        place = {"item_id": item_id, "output_index": index, "call_id": event.id}
        whole = {"arguments": event.arguments, "name": event.name}
        return [
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
        nothing = self._text is None and not self._output and not self._calls
        begun = self.begin() if complete and nothing else []
        unfinished = json.dumps({"error": "the answer was over before"})
        begun += [event for call in [*self._runs] for event in self.ran(call, unfinished)]
        ended = self._told_calls("completed" if complete else "incomplete")
        status = {"complete": "completed", "limit": "incomplete"}.get(reason, "cancelled")
        details = None if complete else {"type": status, "reason": REASONS[reason]}
        usage = self.response.usage(tokens, self._per_window)
        output = [self._output[place] for place in sorted(self._output)]
        shown = self.response.resource(status, self._conversation, details, output, usage)
        return [*begun, *ended, self._shapes.event("response.done", response=shown)]

    def _message_ended(self, status: str) -> list[Json]:
        if self._text is None or self._is_over:
            return []
        self._is_over = True
        events = self._text_over() if self._spoken is None else self._speech_over(self._spoken)
        item = said(self.response.item_id, status, self._text, aloud=self._spoken is not None)
        part = self._of_part("content_part.done", part=self._part(self._text))
        return [*events, part, *self._done(item)]

    def _text_over(self) -> list[Json]:
        return [self._of_part("output_text.done", text=self._text)]

    def _speech_over(self, spoken: Spoken) -> list[Json]:
        """The rest of the audio; what was not spoken of the text is no part of the message."""
        rest, self._text = self._sound(spoken.flush()), spoken.transcript
        done = self._of_part("output_audio.done")
        return [*rest, done, self._of_part("output_audio_transcript.done", transcript=self._text)]

    def _part(self, text: str) -> Json:
        """A part of the message's content, as events about parts have it."""
        if self._spoken is None:
            return {"type": "text", "text": text}
        return {"type": "audio", "transcript": text}

    def _added(self, item: Json) -> list[Json]:
        """An item is begun."""
        index = self._places[item["id"]] = len(self._places)
        begun = dict(item)  # the conversation's will change
        events = [self._of_response("output_item.added", output_index=index, item=begun)]
        if self.response.in_conversation:
            before = self._items.add(item)
            about = {"item": begun, "previous_item_id": before}
            events.append(self._shapes.event("conversation.item.added", **about))
        return events

    def _done(self, item: Json) -> list[Json]:
        """An item is complete."""
        index = self._places[item["id"]]
        self._output[index] = item
        events = [self._of_response("output_item.done", output_index=index, item=item)]
        if self.response.in_conversation:
            if item["id"] in self._items:
                self._items.get(item["id"]).update(item)
            events.append(self._shapes.event("conversation.item.done", item=item))
        return events

    def _of_response(self, kind: str, **fields: Any) -> Json:
        return self._shapes.event(f"response.{kind}", response_id=self.response.id, **fields)

    def _of_part(self, kind: str, **fields: Any) -> Json:
        item_id = self.response.item_id
        place = {"output_index": self._places[item_id], "content_index": 0}
        return self._of_response(kind, item_id=item_id, **place, **fields)
