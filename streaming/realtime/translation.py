"""What a session tells, as server events.

Whatever happened under newer settings, or after newer messages of the client's, is told later: so
what is known here comes from the session alone.
"""

from collections import deque

from streaming.controls import Control, Forget, Key
from streaming.events import (
    Accepted,
    AudioPrefilled,
    Caption,
    Cleared,
    Configured,
    EndOfReply,
    Event,
    FellSilent,
    Held,
    Recorded,
    Refused,
    ReplyDelta,
    ReplyEnded,
    ReplyStarted,
    SoundStarted,
    SpeechEnded,
    SpeechStarted,
    ToolCalled,
)
from streaming.realtime import wire
from streaming.realtime.answer import Answer
from streaming.realtime.audio import milliseconds, seconds, span
from streaming.realtime.items import Items, spoken
from streaming.realtime.pending import Pending
from streaming.realtime.response import Response
from streaming.realtime.shapes import Json, Shapes
from streaming.realtime.transcripts import Transcripts
from streaming.realtime.wire import SessionConfig


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
        config: what the session begins with.
        shapes: makes events.
        items: the conversation.
        pending: what the client put into it and is not answered yet.
        audio_tokens_per_window: for `usage`.
        """
        self._config, self._shapes = config, shapes
        self._items, self._pending = items, pending
        self._per_window = audio_tokens_per_window
        self._conversation = shapes.new_id("conv")
        self._coming: deque[SessionConfig] = deque()  # settings that the session will follow
        self._utterance: str | None = None  # item of what is being said
        self._begun_at = 0  # its first sample
        self._spoken: set[str] = set()  # items of what was said and not answered yet
        self._spans: dict[str, tuple[int, int]] = {}  # samples of what was said
        self._turns: dict[str, Forget] = {}  # how the core forgets items of answered turns
        self._transcripts = Transcripts(shapes, items)
        self._answer: Answer | None = None

    @property
    def response(self) -> Response | None:
        """The answer that is being given."""
        return None if self._answer is None else self._answer.response

    def expect(self, config: SessionConfig) -> None:
        """The session will follow these settings, after those that it was given before."""
        self._coming.append(config)

    def tell(self, event: Event) -> list[Json]:
        """Server events for an event of the session."""
        match event:
            case SpeechStarted(at):
                return [self._speech_started(at)]
            case SpeechEnded():
                return self._speech_ended(event)
            case Held(since, until):
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
            case ToolCalled():
                return self._called(event)
            case ReplyEnded(tokens, reason):
                return self._reply_ended(tokens, reason)
            case Refused():
                return self._refused(event)
            case SoundStarted(at, until, name, probability):
                if not self._config.salmonn.sound_events:
                    return []
                found = {"name": name, "probability": probability}
                return [self._shapes.extension("sound", **span(at, until), **found)]
            case AudioPrefilled(at, windows):
                if not self._config.salmonn.prefill:
                    return []
                tokens, at = windows * self._per_window, milliseconds(at)
                return [self._shapes.extension("prefill", audio_ms=at, audio_tokens=tokens)]

    def forget(self, item_id: str) -> list[Control]:
        """How the session is to forget an item."""
        self._spoken.discard(item_id)
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
        self._pending.heard([*self._spoken])
        self._spoken.clear()
        if self._by_hand and self._utterance is not None:
            self._transcripts.drop(self._utterance)
            self._utterance = None
        self._transcripts.begin_anew()
        return [self._shapes.event("input_audio_buffer.cleared")]

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
        """An answer to the silence follows, so the silence is a message."""
        self._utterance = self._shapes.new_id("item")
        told = self._shapes.event(
            "input_audio_buffer.timeout_triggered", **span(since, at), item_id=self._utterance
        )
        return [told, *self._message(since, at, transcribed=False)]

    def _message(self, begin: int, end: int, *, transcribed: bool = True) -> list[Json]:
        """What was said, samples [begin, end), is a message now."""
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
        """An answer was asked for."""
        response.told = True
        return self._shapes.event(
            "response.created", response=response.resource("in_progress", self._conversation)
        )

    def _accepted(self, ref: str) -> list[Json]:
        asked = self._pending.responses.get(ref)
        return [] if asked is None else [self.begun(asked)]

    def _reply_started(self, event: ReplyStarted) -> list[Json]:
        events = []
        response = None if event.ref is None else self._pending.responses.pop(event.ref, None)
        if response is None:  # an endpoint asked for it
            new = self._shapes.new_id
            response = Response(
                new("resp"), new("item"), True, None, self._config.max_output_tokens
            )
            events = [self.begun(response)]
        response.turn = event.turn
        self._pending.answered([*event.answers])
        self._pending.heard([*self._spoken])
        for name in self._spoken:
            self._turns[name] = Forget(event.turn, "question")
        self._turns[response.item_id] = Forget(event.turn, "answer")
        self._spoken.clear()
        response.windows = event.windows
        response.text_tokens = event.text_tokens
        response.cached = event.prefilled_before_end
        self._answer = Answer(
            response, self._shapes, self._items, self._conversation, self._per_window
        )
        # Where functions may be called, there may be no message.
        return events if event.tools else [*events, *self._answer.begin()]

    def _called(self, event: ToolCalled) -> list[Json]:
        item_id = self._shapes.new_id("item")
        self._turns[item_id] = Forget(ref=event.id)
        return self._given().call(event, item_id)

    def _reply_ended(self, tokens: int, reason: EndOfReply) -> list[Json]:
        events = self._given().end(tokens, reason)
        self._answer = None
        if self._utterance is not None and self._utterance not in self._transcripts:
            # What was said under the answer is a turn of its own from here on.
            self._expect_transcript(self._utterance, self._begun_at)
        return events

    def _refused(self, event: Refused) -> list[Json]:
        code, why = event.code, event.why
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
