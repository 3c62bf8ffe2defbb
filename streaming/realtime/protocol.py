"""OpenAI Realtime (GA), without I/O: messages in, messages and the core's input out.

    protocol.receive(text)    -> server events to send, and bytes or controls for the session
    protocol.translate(event) -> server events to send

docs/protocol.md lists what is supported. Order is as in the specification's examples.
"""

import base64
import binascii
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import ValidationError

from assistant.rates import SAMPLE_RATE
from streaming.audio.frames import FRAME_SAMPLES, Frame
from streaming.audio.wire_audio import InputDecoder
from streaming.controls import (
    Ask,
    Cancel,
    Clear,
    Commit,
    Configure,
    Control,
    Forget,
    Hold,
    Recording,
)
from streaming.events import (
    AudioPrefilled,
    Caption,
    EndOfReply,
    Event,
    FellSilent,
    Refused,
    ReplyDelta,
    ReplyEnded,
    ReplyStarted,
    SoundStarted,
    SpeechEnded,
    SpeechStarted,
)
from streaming.realtime import wire
from streaming.realtime.items import Items, created, said, spoken, text_of
from streaming.realtime.mistakes import event_id, mistake
from streaming.realtime.response import REASONS, Response
from streaming.realtime.session_config import (
    Settings,
    input_format,
    settings_for,
    update,
)
from streaming.realtime.wire import (
    APPEND_BYTES,
    CLIENT_EVENT,
    ClientEvent,
    SessionConfig,
    WireError,
)

Json = dict[str, Any]

MOST_CREATED = 1_000
"""Items that a client may put into the conversation, those apart that it deleted."""

MOST_WAITING = 8
"""Answers that are asked for and not begun; all but one are out of band."""


@dataclass(slots=True)
class Output:
    """What comes of a message."""

    events: list[Json] = field(default_factory=list)
    """To be sent."""

    inputs: list[bytes | Control] = field(default_factory=list)
    """For the session, in order: audio as 16 kHz PCM16, and controls."""


class Realtime:
    """One client's side of a session."""

    def __init__(
        self,
        config: SessionConfig,
        defaults: Settings,
        new_id: Callable[[str], str],
        *,
        longest: int,
        longest_text: int,
        audio_tokens_per_window: int,
        can_transcribe: bool,
        can_name_sounds: bool,
    ) -> None:
        """Args:
        config: the session's settings to begin with.
        defaults: of the core, where the protocol has no word for them.
        new_id: makes an id with a prefix, each another one.
        longest: tokens of an answer that the client does not limit.
        longest_text: characters of a question or an instruction; longer ones are refused before
            they are looked at.
        audio_tokens_per_window: for `usage`.
        can_transcribe: there is a decoder for captions.
        can_name_sounds: there is a tagger for sound events.
        """
        self.config = config
        self._defaults, self._new_id = defaults, new_id
        self._longest, self._longest_text = longest, longest_text
        self._per_window = audio_tokens_per_window
        self._can_transcribe, self._can_name = can_transcribe, can_name_sounds
        self._decoder = InputDecoder(input_format(config))
        self._recording: InputDecoder | None = None  # of the item whose audio comes
        self._recorded_from = 0  # its first sample
        self._conversation = new_id("conv")
        self._items = Items()
        self._made: set[str] = set()  # those of them that the client created
        self._asked: dict[str, int] = {}  # items with a text that was not answered, its length
        self._spoken: set[str] = set()  # items of what was said and not answered yet
        self._spans: dict[str, tuple[int, int]] = {}  # samples of what was said
        self._turns: dict[str, Forget] = {}  # how the core forgets items of answered turns
        self._answers = 0  # begun
        self._taken = 0  # samples
        self._appended = 0  # samples since the last message was made of them
        self._utterance: str | None = None  # item of the utterance that goes on
        # Items whose captions come, and the first sample of each; the next one first.
        self._uncaptioned: deque[tuple[str, int]] = deque()
        self._caption = ""
        self._begun_at = 0  # sample
        self._seconds: dict[str, float] = {}  # of messages whose transcript is not complete
        self._requested: dict[str, Response] = {}  # asked for, not begun; the next one first
        self._response: Response | None = None  # being given
        self._told: Settings | None = None  # what the core was told last
        self.bytes_heard = 0
        """Of audio, as it came in."""

    def begin(self) -> Output:
        """What is sent first."""
        return Output([self._event("session.created", session=self._shown())], self._settings())

    # --- what clients send

    def receive(self, message: str | bytes) -> Output:
        """Take a message; what is wrong with it is told the client, and nothing else is lost."""
        try:
            event = CLIENT_EVENT.validate_json(message)
        except ValidationError as error:
            wrong = mistake(error)
            told = wrong.code, wrong.message, wrong.param, event_id(message)
            return Output([self._error(*told)])
        return self.follow(event)

    def follow(self, event: ClientEvent) -> Output:
        """Take an event; what is wrong with it is told the client, and nothing else is lost."""
        try:
            return self._follow(event)
        except WireError as error:
            return self.refuse(error, event.event_id)

    def refuse(self, error: WireError, event_id: str | None = None) -> Output:
        """Tell the client why a message of theirs is not followed."""
        return Output([self._error(error.code, str(error), error.param, event_id)])

    def _follow(self, event: ClientEvent) -> Output:
        match event:
            case wire.SessionUpdate():
                return self._update(event.session)
            case wire.Append():
                return Output(inputs=self.hear(decoded(event.audio, "audio")))
            case wire.CommitBuffer():
                return self._commit(event.event_id)
            case wire.ClearBuffer():
                return self._clear()
            case wire.ClearOutput():
                raise WireError("invalid_event_for_transport", f"{event.type} is for WebRTC only")
            case wire.CreateItem():
                return self._create_item(event)
            case wire.RetrieveItem():
                item = self._items.get(event.item_id)
                return Output([self._event("conversation.item.retrieved", item=item)])
            case wire.TruncateItem():
                return self._truncate(event)
            case wire.DeleteItem():
                return self._delete(event.item_id)
            case wire.CreateResponse():
                return self._create_response(event)
            case wire.CancelResponse():
                return self._cancel(event)

    def _update(self, changes: Json) -> Output:
        config = self._possible(update(self.config, changes))
        self._check_text(config.instructions, "session.instructions")
        pending: list[bytes | Control] = []
        if input_format(config) != input_format(self.config):
            pending = self._flush()
            self._decoder = InputDecoder(input_format(config))
        self.config = config
        if config.audio.input.transcription is None:
            self._uncaptioned.clear()
        shown = self._event("session.updated", session=self._shown())
        return Output([shown], pending + self._settings())

    def _possible(self, config: SessionConfig) -> SessionConfig:
        """Settings without what this preset lacks: it is told back as off."""
        audio, ours = config.audio, config.salmonn
        if not self._can_transcribe:
            deaf = audio.input.model_copy(update={"transcription": None})
            audio = audio.model_copy(update={"input": deaf})
        if not self._can_name:
            ours = ours.model_copy(update={"sound_events": False})
        return config.model_copy(update={"audio": audio, "salmonn": ours})

    def _settings(self) -> list[bytes | Control]:
        settings, before = settings_for(self.config, self._defaults), self._told
        self._told = settings
        same = before is not None and before.endpointing == settings.endpointing
        return [
            Configure(
                self.config.instructions,
                self._most(self.config.max_output_tokens),
                self.config.salmonn.temperature,
                self.config.salmonn.top_p,
                settings.turns,
                None if same else settings.endpointing,  # other endpointing cuts an utterance
            )
        ]

    def _most(self, limit: int | Literal["inf"]) -> int:
        """Tokens of an answer with this limit."""
        return self._longest if limit == "inf" else limit

    def hear(self, audio: bytes) -> list[bytes | Control]:
        """Audio in the session's input format, for the core: appended, or of an item."""
        if self._recording is not None:
            return self._heard(self._recording.push(audio))
        self.bytes_heard += len(audio)
        return self._appending(self._heard(self._decoder.push(audio)))

    def _flush(self) -> list[bytes | Control]:
        """What the decoder holds of a frame that is not complete, filled up with silence."""
        return self._appending(self._heard(self._decoder.settle()))

    def _heard(self, frames: list[Frame]) -> list[bytes | Control]:
        self._taken += len(frames) * FRAME_SAMPLES
        pcm = b"".join(frame.pcm for frame in frames)
        return [pcm] if pcm else []

    def _appending(self, pcm: list[bytes | Control]) -> list[bytes | Control]:
        """Count audio that was appended; by hand it is a message to be."""
        self._appended += sum(len(piece) // 2 for piece in pcm if isinstance(piece, bytes))
        if self.config.audio.input.turn_detection is None and self._utterance is None and pcm:
            self._utterance = self._new_id("item")
            self._expect_caption(self._utterance, self._taken - self._appended)
        return pcm

    def _expect_caption(self, item_id: str, begin: int) -> None:
        if self.config.audio.input.transcription is not None:
            self._uncaptioned.append((item_id, begin))

    def _clear(self) -> Output:
        self._appended, self._caption = 0, ""
        self._decoder.drop()
        self._spoken.clear()
        if self.config.audio.input.turn_detection is None and self._utterance is not None:
            self._uncaptioned = deque(u for u in self._uncaptioned if u[0] != self._utterance)
            self._utterance = None
        return Output([self._event("input_audio_buffer.cleared")], [Clear()])

    def _commit(self, event_id: str | None) -> Output:
        if self.config.audio.input.turn_detection is not None:
            return Output(inputs=[Hold(event_id)])  # the utterance's end makes the message
        rest = self._flush()
        if not self._appended:
            raise WireError("input_audio_buffer_commit_empty", "no audio was appended")
        said = self._taken - self._appended, self._taken
        return Output(self._message(*said), [*rest, Hold(event_id)])

    def _create_item(self, event: wire.CreateItem) -> Output:
        """A message: text, or a recording, which is heard as it would be if it came live."""
        audio = audio_of(event)
        if audio is None:
            self._check_item(event)
            return Output(self._put(event, None))
        begun, heard = self.begin_recording(event, len(audio)), self.hear(audio)
        ended = self.end_recording(event)
        return Output(ended.events, begun.inputs + heard + ended.inputs)

    def begin_recording(self, event: wire.CreateItem, size: int) -> Output:
        """Audio of an item follows by `hear`, and then `end_recording`.

        Args:
            event: the item.
            size: bytes of its audio.

        Raises:
            WireError: the item cannot be put into the conversation; nothing was changed.
        """
        self._check_item(event)
        self._check_seconds(size)
        self._recording = InputDecoder(input_format(self.config))
        self._recorded_from = self._taken
        return Output(inputs=[Recording()])

    def end_recording(self, event: wire.CreateItem) -> Output:
        """The audio of an item was given: it is a message now."""
        assert self._recording is not None, "begin_recording() comes first"
        rest = self._heard(self._recording.flush())
        self._recording = None
        return Output(self._put(event, (self._recorded_from, self._taken)), [*rest, Hold()])

    def _check_item(self, event: wire.CreateItem) -> None:
        """Raises WireError where a message cannot be put into the conversation."""
        if len(self._made) >= MOST_CREATED:
            self._made = {name for name in self._made if name in self._items}
        if len(self._made) >= MOST_CREATED:
            why = f"{MOST_CREATED} items were created; delete some"
            raise WireError("conversation_full", why)
        item = created(event.item, event.item.id or "")
        self._items.check(item["id"], event.previous_item_id)
        for n, part in enumerate(event.item.content):
            self._check_text(part.text or "", f"item.content[{n}].text")
            self._check_text(part.transcript or "", f"item.content[{n}].transcript")
        if item["role"] == "user":
            waiting = sum(self._asked.values()) + len(text_of(item))
            self._check_length(waiting, "item.content", "that wait to be answered ")

    def _put(self, event: wire.CreateItem, span: tuple[int, int] | None) -> list[Json]:
        """Put a message into the conversation; `span`: samples of its recording."""
        item = created(event.item, event.item.id or self._new_id("item"))
        before = self._items.add(item, event.previous_item_id)
        self._made.add(item["id"])
        if item["role"] == "assistant":
            self._answered(self._items.before(item["id"]))
        if span is not None:
            self._spoken.add(item["id"])
            self._spans[item["id"]] = span
            if not any(part.get("transcript") for part in item["content"]):
                self._expect_caption(item["id"], span[0])
                self._seconds[item["id"]] = _seconds(*span)
        if item["role"] == "user" and (text_of(item) if span is None else _has_text(item)):
            self._asked[item["id"]] = len(text_of(item))
        about = {"item": item, "previous_item_id": before}
        return [self._event(f"conversation.item.{what}", **about) for what in ("added", "done")]

    def _check_seconds(self, size: int) -> None:
        """Raises WireError where recordings that were not answered are longer than a turn."""
        kind = input_format(self.config)
        waiting = [self._spans[name] for name in self._spoken & self._made if name in self._spans]
        seconds = size / (kind.sample_bytes * kind.rate)
        seconds += sum(end - begin for begin, end in waiting) / SAMPLE_RATE
        most = self._defaults.turns.ring_s
        if seconds > most:
            why = f"{seconds:.1f} s that wait to be answered are longer than a turn: {most:g} s"
            raise WireError("recording_too_long", why, "item.content")

    def _answered(self, names: list[str]) -> None:
        """These texts are asked no more."""
        for name in names:
            self._asked.pop(name, None)

    def _check_text(self, text: str, where: str) -> None:
        """Raises WireError where a text is longer than the model can read."""
        self._check_length(len(text), where)

    def _check_length(self, characters: int, where: str, which: str = "") -> None:
        if characters > self._longest_text:
            why = f"{characters} characters {which}are more than this model can read; the most are "
            raise WireError("string_above_max_length", f"{why}{self._longest_text}", where)

    def _create_response(self, event: wire.CreateResponse) -> Output:
        wanted = event.response
        in_conversation = wanted.conversation != "none"
        active = [r for r in (self._response, *self._requested.values()) if r is not None]
        busy = [r for r in active if r.in_conversation and in_conversation]
        if len(active) > MOST_WAITING:
            busy = active
        if busy:
            raise WireError(
                "conversation_already_has_active_response",
                f"response {busy[0].id} is being made; wait for response.done",
            )
        response = self._new_response(in_conversation, wanted.metadata, wanted.max_output_tokens)
        response.asked_by = event.event_id
        question = self._question(wanted)
        if wanted.input is None and in_conversation:
            response.about = [item["id"] for item in self._items if item["id"] in self._asked]
        limit = None if wanted.max_output_tokens is None else self._most(response.limit)
        asked: Control
        if question is None and not active:
            asked = Commit(wanted.instructions, response.id, or_ring=True, max_new_tokens=limit)
        else:
            words = wanted.instructions or self.config.instructions
            asked = Ask(words if question is None else question, response.id, limit)
        self._requested[response.id] = response
        return Output([self._created(response)], [asked])

    def _question(self, wanted: wire.ResponseConfig) -> str | None:
        """What is asked in text; None where the answer is about what was said.

        Raises:
            WireError: it is longer than the model can read, or not text.
        """
        if wanted.input is not None:
            texts = [
                self._text(item, f"response.input[{n}]") for n, item in enumerate(wanted.input)
            ]
        elif self._asked:
            texts = [text_of(item) for item in self._items if item["id"] in self._asked]
        else:
            self._check_text(wanted.instructions or "", "response.instructions")
            return None
        question = _lines([wanted.instructions or "", *texts])
        self._check_text(question, "response.input" if wanted.input is not None else "response")
        return question or self.config.instructions

    def _truncate(self, event: wire.TruncateItem) -> Output:
        """Answers are text, so all that can be cut off are the 0 ms of audio that they have."""
        if self._items.get(event.item_id).get("role") != "assistant":
            why = "only the assistant's messages can be truncated"
            raise WireError("invalid_value", why, "item_id")
        if event.audio_end_ms > 0:
            raise WireError("invalid_value", "the message has 0 ms of audio", "audio_end_ms")
        place = {"item_id": event.item_id, "content_index": 0, "audio_end_ms": 0}
        return Output([self._event("conversation.item.truncated", **place)])

    def _delete(self, item_id: str) -> Output:
        """What was not answered yet will not be, and what was is not looked at again."""
        self._items.delete(item_id)
        self._made.discard(item_id)
        self._answered([item_id])
        inputs: list[bytes | Control] = []
        if item_id in self._spoken:
            self._spoken.remove(item_id)
            if not self._spoken and self._utterance is None:
                inputs.append(Clear())
        for response in self._requested.values():
            if item_id in response.about:  # and has not begun: it is not asked any more
                inputs.append(Cancel(None, response.ref))
        begin, end = self._spans.pop(item_id, (0, 0))
        forget = replace(self._turns.pop(item_id, Forget()), since=begin, until=end)
        if forget != Forget():
            inputs.append(forget)
        return Output([self._event("conversation.item.deleted", item_id=item_id)], inputs)

    def _text(self, item: wire.Item | wire.ItemReference, where: str) -> str:
        if isinstance(item, wire.ItemReference):
            return text_of(self._items.get(item.id))
        if any(part.audio for part in item.content):
            why = (
                "audio is not read here; put it into the conversation with conversation.item.create"
            )
            raise WireError("invalid_value", why, f"{where}.content")
        return text_of(created(item, "", where))

    def _cancel(self, event: wire.CancelResponse) -> Output:
        active = [self._response] if self._response is not None else []
        for response in (*active, *self._requested.values()):
            if event.response_id in (None, response.id):
                return Output(inputs=[Cancel(event.event_id, response.ref or "")])
        raise WireError("response_cancel_not_active", "there is no such response to cancel")

    @property
    def answering(self) -> bool:
        """A response is being made."""
        return self._response is not None or bool(self._requested)

    def server_error(self, code: str, message: str) -> Json:
        """An error that no message of the client's brought about: the session ends."""
        error = {"type": "server_error", "code": code, "message": message}
        return self._event("error", error=error)

    def extension(self, kind: str, **fields: Any) -> Json:
        """An event that only this server has."""
        return self._event(f"salmonn.{kind}", **fields)

    # --- what the core tells

    def translate(self, event: Event) -> list[Json]:
        """Server events for an event of the session."""
        match event:
            case SpeechStarted(at):
                return [self._speech_started(at)]
            case SpeechEnded():
                return self._speech_ended(event)
            case FellSilent(since, at):
                return self._fell_silent(since, at)
            case Caption():
                return self._captioned(event)
            case ReplyStarted():
                return self._reply_started(event)
            case ReplyDelta(text):
                return [self._delta(text)]
            case ReplyEnded(tokens, reason):
                return self._reply_ended(tokens, reason)
            case Refused():
                return self._refused(event)
            case SoundStarted(at, until, name, probability):
                if not self.config.salmonn.sound_events:
                    return []
                found = {"name": name, "probability": probability}
                return [self.extension("sound", **_span(at, until), **found)]
            case AudioPrefilled(at, windows):
                if not self.config.salmonn.prefill:
                    return []
                tokens = windows * self._per_window
                return [self.extension("prefill", audio_ms=_ms(at), audio_tokens=tokens)]

    def _speech_started(self, at: int) -> Json:
        self._utterance, self._begun_at = self._new_id("item"), at
        if self._response is None:
            self._expect_caption(self._utterance, at)
        detection = self.config.audio.input.turn_detection
        padding = detection.prefix_padding_ms if isinstance(detection, wire.ServerVad) else 0
        begin = max(0, _ms(at) - padding)
        about = {"item_id": self._utterance, "audio_start_ms": begin}
        return self._event("input_audio_buffer.speech_started", **about)

    def _speech_ended(self, event: SpeechEnded) -> list[Json]:
        about = {"item_id": self._utterance, "audio_end_ms": _ms(event.decided_at)}
        stopped = self._event("input_audio_buffer.speech_stopped", **about)
        if not event.kept:
            self._utterance = None
            return [stopped]
        if self._response is not None and self._utterance is not None:
            self._expect_caption(self._utterance, self._begun_at)  # answered after this response
        return [stopped, *self._message(self._begun_at, event.at)]

    def _fell_silent(self, since: int, at: int) -> list[Json]:
        """An answer to the silence follows, so the silence is a message."""
        self._utterance = self._new_id("item")
        told = self._event(
            "input_audio_buffer.timeout_triggered", **_span(since, at), item_id=self._utterance
        )
        return [told, *self._message(since, at)]

    def _message(self, begin: int, end: int) -> list[Json]:
        """What was said, samples [begin, end), is a message now."""
        item_id = self._utterance or self._new_id("item")
        if self.config.audio.input.transcription is not None:
            self._seconds[item_id] = _seconds(begin, end)
        self._utterance, self._appended = None, 0
        item = spoken(item_id)
        before = self._items.add(item)
        self._spoken.add(item_id)
        self._spans[item_id] = begin, end
        about = {"item": item, "previous_item_id": before}
        return [
            self._event("input_audio_buffer.committed", item_id=item_id, previous_item_id=before),
            self._event("conversation.item.added", **about),
            self._event("conversation.item.done", **about),
        ]

    def _captioned(self, caption: Caption) -> list[Json]:
        while self._uncaptioned and self._uncaptioned[0][1] < caption.since:
            self._uncaptioned.popleft()  # its turn was given up: this is about later speech
        if not self._uncaptioned or self.config.audio.input.transcription is None:
            return []
        item_id, _ = self._uncaptioned.popleft() if caption.last else self._uncaptioned[0]
        kind = "conversation.item.input_audio_transcription"
        index = self._items.spoken_part(item_id)
        place = {"item_id": item_id, "content_index": index}
        self._caption += caption.settled
        events = []
        if caption.settled:
            events.append(self._event(f"{kind}.delta", **place, delta=caption.settled))
        if caption.last:
            text, self._caption = self._caption.strip(), ""
            if item_id in self._items:
                self._items.get(item_id)["content"][index]["transcript"] = text
            usage = {"type": "duration", "seconds": self._seconds.pop(item_id, 0.0)}
            events.append(self._event(f"{kind}.completed", **place, transcript=text, usage=usage))
        return events

    def _new_response(
        self,
        in_conversation: bool = True,
        metadata: dict[str, str] | None = None,
        limit: int | Literal["inf"] | None = None,
    ) -> Response:
        new = self._new_id
        limit = self.config.max_output_tokens if limit is None else limit
        return Response(new("resp"), new("item"), in_conversation, metadata, limit)

    def _created(self, response: Response) -> Json:
        return self._event(
            "response.created", response=response.resource("in_progress", self._conversation)
        )

    def _reply_started(self, event: ReplyStarted) -> list[Json]:
        events = []
        asked = self._requested.pop(event.ref, None) if event.ref is not None else None
        if asked is not None:
            response = asked
        else:  # an endpoint asked for it
            response = self._new_response()
            response.ref = None
            events = [self._created(response)]
        self._response = response
        self._answered(response.about)
        for name in (*self._spoken, *response.about):
            self._turns[name] = Forget(self._answers, "question")
        self._turns[response.item_id] = Forget(self._answers, "answer")
        self._answers += 1
        self._spoken.clear()
        response.windows = event.windows
        response.text_tokens = event.text_tokens
        response.cached = event.prefilled_before_end
        item = said(response.item_id, "in_progress", None)
        events.append(self._of_response("output_item.added", output_index=0, item=item))
        if response.in_conversation:
            before = self._items.add(item)
            about = {"item": dict(item), "previous_item_id": before}
            events.append(self._event("conversation.item.added", **about))
        part = {"type": "text", "text": ""}
        events.append(self._of_part("content_part.added", part=part))
        return events

    def _delta(self, text: str) -> Json:
        self._active().text += text
        return self._of_part("output_text.delta", delta=text)

    def _reply_ended(self, tokens: int, reason: EndOfReply) -> list[Json]:
        response = self._active()
        complete = reason == "complete"
        item = said(response.item_id, "completed" if complete else "incomplete", response.text)
        part = {"type": "text", "text": response.text}
        events = [
            self._of_part("output_text.done", text=response.text),
            self._of_part("content_part.done", part=part),
            self._of_response("output_item.done", output_index=0, item=item),
        ]
        if response.in_conversation:
            if response.item_id in self._items:
                self._items.get(response.item_id).update(item)
            events.append(self._event("conversation.item.done", item=item))
        status = {"complete": "completed", "limit": "incomplete"}.get(reason, "cancelled")
        details = None if complete else {"type": status, "reason": REASONS[reason]}
        usage = response.usage(tokens, self._per_window)
        shown = response.resource(status, self._conversation, details, [item], usage)
        events.append(self._event("response.done", response=shown))
        self._response = None
        if self._utterance is not None and self._utterance not in dict(self._uncaptioned):
            self._expect_caption(
                self._utterance, self._begun_at
            )  # it interrupted: now it is a turn
        return events

    def _refused(self, event: Refused) -> list[Json]:
        code, why = event.code, event.why
        refused = self._requested.pop(event.ref, None) if event.ref is not None else None
        if refused is None:
            return [self._error(code, why, None, event.ref)]
        if code == "context_full":
            self._answered(refused.about)  # or no later question would be answered
        if code == "cancelled":
            details: Json = {"type": "cancelled", "reason": "client_cancelled"}
            shown = refused.resource("cancelled", self._conversation, details)
            return [self._event("response.done", response=shown)]
        about = "nothing_to_answer" if code == "nothing_to_do" else code
        details = {"type": "failed", "error": {"type": "invalid_request_error", "code": about}}
        shown = refused.resource("failed", self._conversation, details)
        done = self._event("response.done", response=shown)
        return [done, self._error(code, why, None, refused.asked_by)]

    # --- shapes

    def _active(self) -> Response:
        assert self._response is not None, "no response is being made"
        return self._response

    def _of_response(self, kind: str, **fields: Any) -> Json:
        return self._event(f"response.{kind}", response_id=self._active().id, **fields)

    def _of_part(self, kind: str, **fields: Any) -> Json:
        place = {"item_id": self._active().item_id, "output_index": 0, "content_index": 0}
        return self._of_response(kind, **place, **fields)

    def _event(self, kind: str, **fields: Any) -> Json:
        return {"type": kind, "event_id": self._new_id("event"), **fields}

    def _shown(self) -> Json:
        return self.config.model_dump()

    def _error(self, code: str, message: str, param: str | None, event_id: str | None) -> Json:
        error = {"type": "invalid_request_error", "code": code, "message": message}
        return self._event("error", error={**error, "param": param, "event_id": event_id})


def decoded(encoded: str, where: str) -> bytes:
    """Audio from base64.

    Raises:
        WireError: it is none, or too much; `where` names the field.
    """
    try:
        audio = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError("invalid_value", f"not base64: {error}", where) from error
    if len(audio) > APPEND_BYTES:
        raise WireError("invalid_value", f"more than {APPEND_BYTES} bytes", where)
    return audio


def audio_of(event: wire.CreateItem) -> bytes | None:
    """The audio of an item, its parts one after the other; None where it has none.

    Raises:
        WireError: a part is not base64, or too much.
    """
    parts = [
        decoded(part.audio, f"item.content[{n}].audio")
        for n, part in enumerate(event.item.content)
        if part.audio and part.type == "input_audio"
    ]
    return b"".join(parts) if parts and event.item.role == "user" else None


def _lines(texts: list[str]) -> str:
    return "\n".join(text for text in texts if text)


def _ms(sample: int) -> int:
    return round(1000 * sample / SAMPLE_RATE)


def _has_text(item: Json) -> bool:
    return any(part.get("text") for part in item["content"])


def _seconds(begin: int, end: int) -> float:
    return round((end - begin) / SAMPLE_RATE, 3)


def _span(begin: int, end: int) -> Json:
    return {"audio_start_ms": _ms(begin), "audio_end_ms": _ms(end)}
