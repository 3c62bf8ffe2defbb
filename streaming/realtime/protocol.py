"""OpenAI Realtime (GA), without I/O: messages in, messages and the core's input out.

    protocol.receive(text)    -> server events to send, and bytes or controls for the session
    protocol.translate(event) -> server events to send

docs/protocol.md lists what is supported. Order is as in the specification's examples.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from streaming.audio.frames import Frame
from streaming.audio.wire_audio import InputDecoder, InputFormat
from streaming.controls import Cancel, Clear, Configure, Control, Hold, Recording
from streaming.events import Event, ReplyAudio
from streaming.realtime import wire
from streaming.realtime.asking import Asking, most_tokens
from streaming.realtime.audio import audio_of, decoded
from streaming.realtime.items import Items
from streaming.realtime.mistakes import event_id, mistake
from streaming.realtime.output_buffer import OutputBuffer
from streaming.realtime.pending import Pending, noted
from streaming.realtime.response import UNASKED
from streaming.realtime.session_config import (
    Settings,
    input_format,
    over_tracks,
    possible,
    settings_for,
    shown,
    transcribing,
    update,
    voice_settings,
)
from streaming.realtime.shapes import Json, Shapes
from streaming.realtime.tools import Check, Declared
from streaming.realtime.translation import Translation
from streaming.realtime.wire import (
    CLIENT_EVENT,
    ClientEvent,
    SessionConfig,
    WireError,
)


@dataclass(slots=True)
class Output:
    """What comes of a message."""

    events: list[Json] = field(default_factory=list)
    """To be sent."""

    inputs: list[Frame | Control] = field(default_factory=list)
    """For the session, in order."""

    clears: bool = False
    """What is being played stops at once."""


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
        reads_words: bool = False,
        check_tools: Check | None = None,
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
        reads_words: the model reads texts, and whose they are.
        check_tools: raises where functions cannot be called; None: none can.
        """
        self.config = config
        self._defaults = defaults
        self._longest = longest
        self._can_transcribe, self._can_name = can_transcribe, can_name_sounds
        self._decoder = InputDecoder(input_format(config))
        self._recording: InputDecoder | None = None  # of the item whose audio comes
        self._recorded = "", 0.0  # that item, and its seconds
        self._wished: Settings | None = None  # what the core was told to do last
        self._shapes = Shapes(new_id)
        self._items = Items()
        most_s = defaults.turns.ring_s
        self._declared = Declared(check_tools)
        self._pending = Pending(
            self._items, longest_text, most_s, noted=reads_words, calls=self._declared.possible
        )
        self._told = Translation(
            config, self._shapes, self._items, self._pending, audio_tokens_per_window
        )
        self._asking = Asking(
            self._shapes, self._items, self._pending, self._told, self._declared, longest
        )
        self.track: OutputBuffer | None = None
        """What is played of answers whose audio goes by a track."""

        self.bytes_heard = 0
        """Of audio, as it came in."""

    def transcribe(self) -> None:
        """Make this a transcription session, before it begins; it stays one.

        Raises:
            WireError: there is no decoder.
        """
        self.config = self._transcribing()

    def _transcribing(self) -> SessionConfig:
        if not self._can_transcribe:
            why = "this preset has nothing to read speech with"
            raise WireError("invalid_session_type", why, "session.type")
        return transcribing(self.config)

    def prepare(self, changes: Json) -> None:
        """Change settings before the session begins.

        Raises:
            WireError: they cannot be followed; nothing was changed.
        """
        self.config = self._changed(changes)
        self._decoder = InputDecoder(input_format(self.config))

    def over_track(self, format_: InputFormat) -> None:
        """Audio comes and goes by tracks of its own, and not in messages, from the beginning on.

        Args:
            format_: of the audio that comes, whatever the settings say.
        """
        self.config, self._decoder = over_tracks(self.config), InputDecoder(format_)
        self.track = self._told.track = OutputBuffer(self._shapes)

    def begin(self) -> Output:
        """What is sent first."""
        return Output(
            [self._shapes.event("session.created", session=self.shown())], self._settings()
        )

    # --- what clients send

    def receive(self, message: str | bytes) -> Output:
        """Take a message; what is wrong with it is told the client, and nothing else is lost."""
        try:
            event = CLIENT_EVENT.validate_json(message)
        except ValidationError as error:
            wrong = mistake(error)
            told = wrong.code, wrong.message, wrong.param, event_id(message)
            return Output([self._shapes.error(*told)])
        return self.follow(event)

    def follow(self, event: ClientEvent) -> Output:
        """Take an event; what is wrong with it is told the client, and nothing else is lost."""
        try:
            return self._follow(event)
        except WireError as error:
            return self.refuse(error, event.event_id)

    def refuse(self, error: WireError, event_id: str | None = None) -> Output:
        """Tell the client why a message of theirs is not followed."""
        return Output([self._shapes.error(error.code, str(error), error.param, event_id)])

    def _follow(self, event: ClientEvent) -> Output:
        self._check_kind(event)
        match event:
            case wire.SessionUpdate():
                return self._update(event.session)
            case wire.Append() if self.track is None:
                return Output(inputs=self.hear(decoded(event.audio, "audio")))
            case wire.CommitBuffer():
                return self._commit(event.event_id)
            case wire.ClearBuffer():
                return self._clear()
            case wire.ClearOutput() if self.track is not None:
                given = self._told.response
                cancelled = [] if given is None else [Cancel(UNASKED, turn=given.turn)]
                return Output(inputs=[*cancelled], clears=True)
            case wire.ClearOutput() | wire.Append():
                other = "a socket" if isinstance(event, wire.Append) else "WebRTC"
                raise WireError("invalid_event_for_transport", f"{event.type} is for {other} only")
            case wire.CreateItem():
                return self._create_item(event)
            case wire.RetrieveItem():
                item = self._items.get(event.item_id)
                return Output([self._shapes.event("conversation.item.retrieved", item=item)])
            case wire.TruncateItem():
                return self._truncate(event)
            case wire.DeleteItem():
                return self._delete(event.item_id)
            case wire.CreateResponse():
                return Output(inputs=[self._asking.ask(event, self.config)])
            case wire.CancelResponse():
                return self._cancel(event)

    def _check_kind(self, event: ClientEvent) -> None:
        """Raises WireError where a session that only transcribes cannot follow."""
        of_answers = wire.CreateItem | wire.TruncateItem | wire.CreateResponse | wire.CancelResponse
        if self.config.type == "transcription" and isinstance(event, of_answers):
            why = f"{event.type}: a transcription session answers nothing"
            raise WireError("invalid_event_for_session_type", why)

    def _update(self, changes: Json) -> Output:
        config = self._changed(changes)
        pending: list[Frame | Control] = []
        if self.track is None and input_format(config) != input_format(self.config):
            pending = self._flush()
            self._decoder = InputDecoder(input_format(config))
        self.config = config
        shown = self._shapes.event("session.updated", session=self.shown())
        return Output([shown], pending + self._settings())

    def _changed(self, changes: Json) -> SessionConfig:
        """The settings with changes.

        Raises:
            WireError: they cannot be followed; nothing was changed.
        """
        current = self.config
        if changes.get("type") == "transcription" != current.type:
            current = self._transcribing()
        about = {"transcribes": self._can_transcribe, "names": self._can_name}
        config = possible(update(current, changes, self._defaults), **about)
        self._pending.check_text(config.instructions, "session.instructions")
        config = self._declared.declare(config)
        return config if self.track is None else over_tracks(config)

    def _settings(self) -> list[Frame | Control]:
        settings, before = settings_for(self.config, self._defaults), self._wished
        self._wished = settings
        self._told.expect(self.config)
        same = before is not None and before.endpointing == settings.endpointing
        return [
            Configure(
                self.config.instructions,
                most_tokens(self.config.max_output_tokens, self._longest),
                self.config.salmonn.temperature,
                self.config.salmonn.top_p,
                settings.turns,
                None if same else settings.endpointing,  # other endpointing cuts an utterance
                *voice_settings(self.config),
                *self._declared.of_session(),
            )
        ]

    def hear(self, audio: bytes) -> list[Frame | Control]:
        """Audio in the session's input format, for the core: appended, or of an item."""
        if self._recording is not None:
            return [*self._recording.push(audio)]
        self.bytes_heard += len(audio)
        return [*self._decoder.push(audio)]

    def _flush(self) -> list[Frame | Control]:
        """What the decoder holds of a frame that is not complete, filled up with silence."""
        return [*self._decoder.settle()]

    def _clear(self) -> Output:
        self._decoder.drop()
        self._told.expect_clear(told=True)
        return Output(inputs=[Clear()])

    def _commit(self, event_id: str | None) -> Output:
        # Under an endpointer the rest of a frame belongs to what comes next.
        by_hand = self.config.audio.input.turn_detection is None
        if not by_hand:
            return Output(inputs=[Hold(event_id)])
        inputs: list[Frame | Control] = [*self._flush(), Hold(event_id)]
        if self.config.type == "transcription":  # the next message is about nothing before it
            self._told.expect_clear(told=False)
            inputs.append(Clear())
        return Output(inputs=inputs)

    def _create_item(self, event: wire.CreateItem) -> Output:
        """A message: text, or a recording, which is heard as it would be if it came live."""
        audio = audio_of(event)
        if audio is None:
            self._pending.check_item(event)
            return self._put(event, event.item.id or self._shapes.new_id("item"))
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
        self._check_kind(event)
        self._pending.check_item(event)
        self._pending.check_recording(self._seconds(size))
        self._recording = InputDecoder(input_format(self.config))
        name = event.item.id or self._shapes.new_id("item")
        self._recorded = name, self._seconds(size)
        return Output(inputs=[Recording(name)])

    def end_recording(self, event: wire.CreateItem) -> Output:
        """The audio of an item was given: it is a message now."""
        assert self._recording is not None, "begin_recording() comes first"
        rest = self._recording.flush()
        self._recording = None
        self._pending.recording(*self._recorded)
        put = self._put(event, self._recorded[0])
        return Output(put.events, [*rest, Hold(), *put.inputs])

    def _put(self, event: wire.CreateItem, item_id: str) -> Output:
        """Put a message into the conversation, and its text into the session's."""
        item, before = self._pending.put(event, item_id)
        about = {"item": item, "previous_item_id": before}
        told = [
            self._shapes.event(f"conversation.item.{what}", **about) for what in ("added", "done")
        ]
        if item_id not in self._pending.written:
            return Output(told)
        return Output(told, [noted(item, self._told.place(event.previous_item_id))])

    def _seconds(self, size: int) -> float:
        """How long so many bytes of audio are."""
        kind = input_format(self.config)
        return size / (kind.sample_bytes * kind.rate)

    def _truncate(self, event: wire.TruncateItem) -> Output:
        """What was said aloud ends with the word that was being spoken."""
        if self._items.get(event.item_id).get("role") != "assistant":
            why = "only the assistant's messages can be truncated"
            raise WireError("invalid_value", why, "item_id")
        inputs = self._told.truncate(event.item_id, event.audio_end_ms)
        place = {"item_id": event.item_id, "content_index": 0, "audio_end_ms": event.audio_end_ms}
        return Output([self._shapes.event("conversation.item.truncated", **place)], [*inputs])

    def _delete(self, item_id: str) -> Output:
        """What was not answered yet will not be, and what was is not looked at again."""
        self._items.delete(item_id)
        inputs: list[Frame | Control] = [
            Cancel(asked=response.id)  # it has not begun, and is not asked any more
            for response in self._pending.responses.values()
            if item_id in response.about
        ]
        inputs += self._told.forget(item_id)
        self._pending.delete(item_id)
        return Output([self._shapes.event("conversation.item.deleted", item_id=item_id)], inputs)

    def _cancel(self, event: wire.CancelResponse) -> Output:
        given = self._told.response
        if given is not None and event.response_id in (None, given.id):
            return Output(inputs=[Cancel(event.event_id, turn=given.turn)])
        for response in self._pending.responses.values():
            if event.response_id in (None, response.id):
                return Output(inputs=[Cancel(event.event_id, response.id)])
        raise WireError("response_cancel_not_active", "there is no such response to cancel")

    @property
    def answering(self) -> bool:
        """A response is being made."""
        return self._told.response is not None or bool(self._pending.responses)

    def server_error(self, code: str, message: str) -> Json:
        """An error that no message of the client's brought about: the session ends."""
        return self._shapes.server_error(code, message)

    def extension(self, kind: str, **fields: Any) -> Json:
        """An event that only this server has."""
        return self._shapes.extension(kind, **fields)

    def shown(self) -> Json:
        """The settings, as the client is told of them."""
        return shown(self.config)

    # --- what the core tells

    def translate(self, event: Event) -> list[Json]:
        """Server events for an event of the session."""
        given, begun = self._told.response, []
        if self.track is not None and given is not None and isinstance(event, ReplyAudio):
            begun = self.track.started(given.id) if event.pcm else []
        return begun + self._told.tell(event)
