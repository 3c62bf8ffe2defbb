"""Translates a session's events to server events.

The session may still report events from before the client's last settings and messages. So the
state in here follows the session's events, and not the client's messages.
"""

from collections import deque

from streaming.controls import Cancel, Control, Forget, Key, Truncate
from streaming.events import (
    Accepted,
    AudioPrefilled,
    Caption,
    Cleared,
    Configured,
    Dismissed,
    EndOfReply,
    Event,
    FellAsleep,
    FellSilent,
    HeldByHand,
    Notified,
    Recorded,
    Refused,
    ReplyAudio,
    ReplyDelta,
    ReplyEnded,
    ReplyStarted,
    SoundStarted,
    SpeechEnded,
    SpeechStarted,
    ToolCalled,
    ToolReturned,
    Woken,
)
from streaming.realtime import wire
from streaming.realtime.answer import Answer
from streaming.realtime.audio import milliseconds, seconds, span
from streaming.realtime.items import Items, spoken
from streaming.realtime.output_buffer import OutputBuffer
from streaming.realtime.pending import Pending
from streaming.realtime.response import UNASKED, Response
from streaming.realtime.session_config import output_format, speaks
from streaming.realtime.shapes import Json, Shapes
from streaming.realtime.speech import Spoken
from streaming.realtime.transcripts import Transcripts
from streaming.realtime.wire import SessionConfig, WireError

REMEMBERED = 100
"""Notices that wait to be told, or are told again, at most."""


class Translation:
    """Server events for the events of a session."""

    def __init__(
        self,
        config: SessionConfig,
        shapes: Shapes,
        items: Items,
        pending: Pending,
        audio_tokens_per_window: int,
    ) -> None:
        """Args:
        config: settings that the session begins with.
        shapes: makes events.
        items: the conversation.
        pending: items of the client that are not answered yet.
        audio_tokens_per_window: for `usage`.
        """
        self._config, self._shapes = config, shapes
        self._items, self._pending = items, pending
        self._per_window = audio_tokens_per_window
        self._conversation = shapes.new_id("conv")
        self._coming: deque[SessionConfig] = deque()  # settings that the session will follow
        self._clears: deque[bool] = deque()  # which of them clients are told
        self._utterance: str | None = None  # item of what is being said
        self._begun_at = 0  # its first sample
        self._spoken: set[str] = set()  # items of what was said and not answered yet
        self._spans: dict[str, tuple[int, int]] = {}  # samples of what was said
        self._turns: dict[str, Forget] = {}  # how the core forgets items of answered turns
        self._transcripts = Transcripts(shapes, items)
        self._answer: Answer | None = None
        self._aloud: dict[str, Spoken] = {}  # answers that are spoken, by their items
        self._notices: dict[str, Notified] = {}  # what is not told yet, by what its answer has
        self.track: OutputBuffer | None = None
        """What is played of answers, where their audio goes by a track and not in messages."""

    @property
    def response(self) -> Response | None:
        """The answer that is being given."""
        return None if self._answer is None else self._answer.response

    def expect(self, config: SessionConfig) -> None:
        """Expect a `Configured` for these settings, after those for earlier ones."""
        self._coming.append(config)

    def expect_clear(self, *, told: bool) -> None:
        """Expect a `Cleared`; `told`: the client asked for it, and is told."""
        self._clears.append(told)

    def tell(self, event: Event) -> list[Json]:
        """Server events for an event of the session."""
        match event:
            case SpeechStarted(at):
                return [self._speech_started(at)]
            case SpeechEnded():
                return self._speech_ended(event)
            case Dismissed():
                return self._will_not_be_answered()
            case HeldByHand(since, until):
                return self._message(since, until)
            case Recorded(since, until, ref):
                return self._recording_ended(since, until, ref)
            case Cleared():
                return self._cleared()
            case Configured():
                return self._configured()
            case Accepted(ref):
                return self._accepted(ref)
            case FellSilent(since, at):
                return self._fell_silent(since, at)
            case Caption():
                return self._captioned(event)
            case ReplyStarted():
                return self._reply_started(event)
            case ReplyDelta(text):
                return self._given().delta(text)
            case ReplyAudio():
                return self._given().speak(event)
            case ToolCalled():
                return self._called(event)
            case ToolReturned(call, output):
                return self._given().ran(call, output)
            case FellAsleep() | Woken():
                return self._woke(event)
            case Notified():
                return self._notified(event)
            case ReplyEnded(tokens, reason):
                return self._reply_ended(tokens, reason)
            case Refused():
                return self._refused(event)
            case SoundStarted(at, until, name, probability) if self._config.salmonn.sound_events:
                found = {"name": name, "probability": probability}
                return [self._shapes.extension("sound", **span(at, until), **found)]
            case AudioPrefilled(at, windows) if self._config.salmonn.prefill:
                tokens, at = windows * self._per_window, milliseconds(at)
                return [self._shapes.extension("prefill", audio_ms=at, audio_tokens=tokens)]
            case SoundStarted() | AudioPrefilled():
                return []  # nobody asked for it

    def forget(self, item_id: str) -> list[Control]:
        """Controls that make the session forget an item."""
        self._spoken.discard(item_id)
        if self.response is None or self.response.item_id != item_id:
            self._aloud.pop(item_id, None)
        begin, end = self._spans.pop(item_id, (0, 0))
        wanted = self._turns.pop(item_id, Forget())
        known = item_id in self._pending.recorded or item_id in self._pending.written
        ref = item_id if known else wanted.ref
        wanted = Forget(wanted.turn, wanted.part, begin, end, ref)
        return [wanted] if wanted != Forget() else []

    def place(self, item_id: str | None) -> Key | None:
        """What the session knows an item by; None where it is not told of it yet."""
        if item_id == "root" or item_id in self._pending.written:
            return item_id
        known = Forget() if item_id is None else self._turns.get(item_id, Forget())
        return known.ref if known.turn is None else (known.turn, known.part)

    # --- what is said

    @property
    def _by_hand(self) -> bool:
        return self._config.audio.input.turn_detection is None

    @property
    def _transcribes(self) -> bool:
        return self._config.audio.input.transcription is not None

    def _configured(self) -> list[Json]:
        self._config = self._coming.popleft()
        if not self._transcribes:
            self._transcripts.stop()
        return []

    def _cleared(self) -> list[Json]:
        self._will_not_be_answered()
        if self._by_hand and self._utterance is not None:
            self._transcripts.drop(self._utterance)
            self._utterance = None
        self._transcripts.begin_anew()
        told = self._clears.popleft()
        return [self._shapes.event("input_audio_buffer.cleared")] if told else []

    def _will_not_be_answered(self) -> list[Json]:
        """What was said until now."""
        self._pending.heard([*self._spoken])
        self._spoken.clear()
        return []

    def _speech_started(self, at: int) -> Json:
        self._utterance, self._begun_at = self._shapes.new_id("item"), at
        if self.response is None:
            self._expect_transcript(self._utterance, at)
        detection = self._config.audio.input.turn_detection
        padding = detection.prefix_padding_ms if isinstance(detection, wire.ServerVad) else 0
        begin = max(0, milliseconds(at) - padding)
        about = {"item_id": self._utterance, "audio_start_ms": begin}
        return self._shapes.event("input_audio_buffer.speech_started", **about)

    def _speech_ended(self, event: SpeechEnded) -> list[Json]:
        about = {"item_id": self._utterance, "audio_end_ms": milliseconds(event.decided_at)}
        stopped = self._shapes.event("input_audio_buffer.speech_stopped", **about)
        if not event.kept:
            self._utterance = None
            return [stopped]
        return [stopped, *self._message(self._begun_at, event.at)]

    def _fell_silent(self, since: int, at: int) -> list[Json]:
        """Make the silence a message, since an answer to it follows."""
        self._utterance = self._shapes.new_id("item")
        told = self._shapes.event(
            "input_audio_buffer.timeout_triggered", **span(since, at), item_id=self._utterance
        )
        return [told, *self._message(since, at, transcribed=False)]

    def _message(self, begin: int, end: int, *, transcribed: bool = True) -> list[Json]:
        """Make a message of the speech in samples [begin, end)."""
        item_id = self._utterance or self._shapes.new_id("item")
        if transcribed and item_id not in self._transcripts:
            self._expect_transcript(item_id, begin)
        self._transcripts.length(item_id, seconds(begin, end))
        self._utterance = None
        item = spoken(item_id)
        before = self._items.add(item)
        self._spoken.add(item_id)
        self._spans[item_id] = begin, end
        about = {"item": item, "previous_item_id": before}
        committed = {"item_id": item_id, "previous_item_id": before}
        return [
            self._shapes.event("input_audio_buffer.committed", **committed),
            self._shapes.event("conversation.item.added", **about),
            self._shapes.event("conversation.item.done", **about),
        ]

    def _recording_ended(self, begin: int, end: int, ref: str | None) -> list[Json]:
        if ref is None or ref not in self._items:
            return []  # it was deleted meanwhile
        self._spoken.add(ref)
        content = self._items.get(ref)["content"]
        if not any(part.get("transcript") for part in content):
            self._expect_transcript(ref, begin)
            self._transcripts.length(ref, seconds(begin, end))
        return []

    def _expect_transcript(self, item_id: str, begin: int) -> None:
        if self._transcribes:
            self._transcripts.expect(item_id, begin)

    def _captioned(self, caption: Caption) -> list[Json]:
        if not self._transcribes:
            return []
        if self._by_hand and not self._transcripts.about(caption):
            self._utterance = self._utterance or self._shapes.new_id("item")
            self._begun_at = caption.since
            self._transcripts.expect(self._utterance, caption.since)
        return self._transcripts.add(caption)

    # --- answers

    def begun(self, response: Response) -> Json:
        """Events for an answer that was asked for."""
        response.told = True
        if response.aloud is None:
            response.aloud = speaks(self._config)
        return self._shapes.event(
            "response.created", response=response.resource("in_progress", self._conversation)
        )

    def _accepted(self, ref: str) -> list[Json]:
        asked = self._pending.responses.get(ref)
        return [] if asked is None else [self.begun(asked)]

    def _reply_started(self, event: ReplyStarted) -> list[Json]:
        events = []
        response = None if event.ref is None else self._pending.responses.pop(event.ref, None)
        notice = None if event.ref is None else self._notices.get(event.ref)
        if response is None:  # an endpoint asked for it, or nobody did
            new, limit = self._shapes.new_id, self._config.max_output_tokens
            about = None if notice is None else {"salmonn": notice.kind, "name": notice.name[:512]}
            response = Response(new("resp"), new("item"), True, about, limit)
            events = [self.begun(response)]
        response.turn = event.turn
        self._turns[response.item_id] = Forget(event.turn, "answer")
        if notice is None:
            self._answers(event)
        response.windows = event.windows
        response.text_tokens = event.text_tokens
        response.cached = event.prefilled_before_end
        format_ = None if self.track is not None else output_format(self._config)
        spoken_by = Spoken(format_) if response.aloud else None
        if spoken_by is not None:
            self._aloud[response.item_id] = spoken_by
            if self.track is not None:
                self.track.spoken = spoken_by
        self._answer = Answer(
            response, self._shapes, self._items, self._conversation, self._per_window, spoken_by
        )
        # Where functions may be called, there may be no message.
        return events if event.tools else [*events, *self._answer.begin()]

    def _answers(self, event: ReplyStarted) -> None:
        """What was said and written is answered."""
        self._pending.answered([*event.answers])
        self._pending.heard([*self._spoken])
        for name in self._spoken:
            self._turns[name] = Forget(event.turn, "question")
        self._spoken.clear()

    def _called(self, event: ToolCalled) -> list[Json]:
        item_id = self._shapes.new_id("item")
        self._turns[item_id] = Forget(ref=event.id)
        given = self._given()
        return (given.call if event.by == "client" else given.run)(event, item_id)

    def _notified(self, event: Notified) -> list[Json]:
        self._notices[event.ref] = event
        for told in [*self._notices][:-REMEMBERED]:
            del self._notices[told]
        if not self._config.salmonn.notices:
            return []
        about = {"notice": event.kind, "name": event.name, "text": event.text}
        return [self._shapes.extension("notice", audio_ms=milliseconds(event.at), **about)]

    def _woke(self, event: FellAsleep | Woken) -> list[Json]:
        """Whether anybody is listened to, or only who says the phrase."""
        if not self._config.salmonn.wake:
            return []
        phrase = event.phrase if isinstance(event, FellAsleep) else None
        about = {"awake": phrase is None, "phrase": phrase}
        return [self._shapes.extension("wake", audio_ms=milliseconds(event.at), **about)]

    def truncate(self, item_id: str, milliseconds: int) -> list[Control]:
        """An answer was heard up to a moment of its audio: how the session is to forget the rest.

        Raises:
            WireError: it has less audio.
        """
        spoken = self._aloud.get(item_id)
        length = 0 if spoken is None else spoken.milliseconds
        if milliseconds > length:
            why = f"the message has {length} ms of audio"
            raise WireError("invalid_value", why, "audio_end_ms")
        if spoken is None:
            return []
        characters = spoken.truncate(milliseconds)
        inputs: list[Control] = []
        if content := self._items.get(item_id)["content"]:
            content[0]["transcript"] = spoken.transcript
        turn = self._turns[item_id].turn if item_id in self._turns else None
        if self.response is not None and self.response.item_id == item_id:
            inputs.append(Cancel(UNASKED, turn=turn))  # who heard no more of it is told no more
        return [*inputs, Truncate(turn, characters)] if turn is not None else inputs

    def _reply_ended(self, tokens: int, reason: EndOfReply) -> list[Json]:
        answer, events = self._given().response, self._given().end(tokens, reason)
        self._answer = None
        if answer.item_id not in self._items:  # it never was, or was deleted
            self._aloud.pop(answer.item_id, None)
        if self._utterance is not None and self._utterance not in self._transcripts:
            # What was said under the answer is a turn of its own from here on.
            self._expect_transcript(self._utterance, self._begun_at)
        return events

    def _refused(self, event: Refused) -> list[Json]:
        code, why = event.code, event.why
        if event.ref == UNASKED:
            return []
        refused = None if event.ref is None else self._pending.responses.pop(event.ref, None)
        if refused is None:
            told = "input_audio_buffer_commit_empty" if code == "nothing_said" else code
            return [self._shapes.error(told, why, None, event.ref)]
        begun = [] if refused.told else [self.begun(refused)]
        if code == "context_full":
            self._pending.answered(refused.about)  # or no later question would be answered
        if code == "cancelled":
            details: Json = {"type": "cancelled", "reason": "client_cancelled"}
            shown = refused.resource("cancelled", self._conversation, details)
            return [*begun, self._shapes.event("response.done", response=shown)]
        about = "nothing_to_answer" if code == "nothing_to_do" else code
        details = {"type": "failed", "error": {"type": "invalid_request_error", "code": about}}
        shown = refused.resource("failed", self._conversation, details)
        done = self._shapes.event("response.done", response=shown)
        return [*begun, done, self._shapes.error(code, why, None, refused.asked_by)]

    def _given(self) -> Answer:
        assert self._answer is not None, "no response is being made"
        return self._answer
