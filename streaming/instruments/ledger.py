"""Where the time of each reply went."""

from dataclasses import dataclass, field

from assistant.rates import SAMPLE_RATE
from streaming.dialogue.work import Work
from streaming.events import (
    Event,
    ReplyDelta,
    ReplyEnded,
    ReplyStarted,
    SpeechEnded,
    SpeechStarted,
    ToolCalled,
)


@dataclass(slots=True)
class Latency:
    """Where the time of one reply went.

    Places in the stream are sample indices at 16 kHz. Fields that end in `_ms` are computing time
    on this machine, except for `endpoint_wait_ms`, which is audio time.
    """

    speech_end: int = 0
    """One past the last sample of speech; for a typed question, samples heard when it came."""

    decided_at: int = 0
    """Sample at which the endpoint was decided."""

    encoded_at: int = 0
    """Sample of the stream at which the reply's last window was encoded."""

    kv_ready_at: int = 0
    """Sample at which the whole prompt was in the KV cache; before `decided_at` if
    speculatively."""

    first_token_at: int = 0
    """Sample of the stream at which the LLM had made the reply's first token."""

    windows: int = 0
    """Windows of sound that the reply is about."""

    prefilled_before_end: int = 0
    """How many of `windows` were in the KV cache when the last sample of speech came in."""

    ear_rtf: float = 0.0
    """Real-time factor of listening since the last reply: seconds of work per second of audio."""

    endpoint_wait_ms: float = 0.0
    """Silence that was waited for until the endpoint, in audio time."""

    backlog_ms: float = 0.0
    """Delay until the frame that decided the endpoint was processed: earlier work that the wait for
    the endpoint was too short to hide."""

    encode_ms: float = 0.0
    """Encoding of the open block after the endpoint."""

    prefill_ms: float = 0.0
    """Prefill of that block's audio tokens and the end of the prompt after the endpoint."""

    first_token_ms: float = 0.0
    """Decoding after the endpoint until the first text is given out."""

    call_ms: float = 0.0
    """Computing from the endpoint to the first call of a function; 0: none was called."""

    tokens_per_s: float = 0.0
    """Decoding speed over the whole reply, with the tokens that were made speculatively."""

    listening_ms: float = 0.0
    """Encoding and prefill during speech, before the endpoint."""

    secret_ms: float = 0.0
    """Speculative work on the reply, between the pause and the endpoint."""

    @property
    def compute_ms(self) -> float:
        """Time from the decided endpoint to the first text."""
        return self.backlog_ms + self.encode_ms + self.prefill_ms + self.first_token_ms


@dataclass(slots=True)
class Stopwatch:
    """Adds up the work of a session's steps, and makes one `Latency` per reply.

    Steps are timed as one worker would do them live: each begins when its audio has arrived and the
    step before it is done, however fast the recording is given.
    """

    latency: Latency = field(default_factory=Latency)
    _state: str = "speaking"  # then "ended", or "asked" by a control; "started", "replying"
    _decode_s: float = 0.0
    _now: float = 0.0  # seconds of the stream
    _listened_s: float = 0.0  # work since the reply before
    _since: int = 0  # sample of it

    def count(
        self,
        at: int,
        work: Work,
        seconds: float,
        events: list[Event],
        begin: float | None = None,
    ) -> Latency | None:
        """Count one step; returns the latency of a reply that ended in it.

        Args:
            at: samples that the session had been given when the step was done.
            work: the kind of work.
            seconds: duration of the step.
            events: the events that the step returned.
            begin: start of the step, in seconds of the stream; None: as early as possible.
        """
        if begin is None:
            begin = max(self._now, at / SAMPLE_RATE)
        self._now = begin + seconds
        if work is Work.CONTROL and self._state in ("speaking", "ended"):
            self._state = "asked"  # if it was one that asks, a reply starts before the next frame
            self.latency.speech_end = self.latency.decided_at = at
            self.latency.endpoint_wait_ms = self.latency.backlog_ms = 0.0
            self.latency.encode_ms = self.latency.prefill_ms = 0.0
        elif work is Work.LISTEN and self._state == "asked":
            self._state = "speaking"
        self._mark(work, events)
        self._add(work, 1000 * seconds)
        if work is Work.DECODE:
            self._decode_s += seconds
        if work is Work.LISTEN:
            self._listened_s += seconds
        for event in events:
            match event:
                case SpeechStarted() if self._state in ("speaking", "ended"):
                    # "ended": the utterance before was not answered
                    self.latency, self._decode_s, self._state = Latency(), 0.0, "speaking"
                case SpeechEnded(end, decided_at) if self._state == "speaking":
                    self._state = "ended"
                    self.latency.speech_end, self.latency.decided_at = end, decided_at
                    self.latency.endpoint_wait_ms = 1000 * (decided_at - end) / SAMPLE_RATE
                    self.latency.backlog_ms = 1000 * (begin - at / SAMPLE_RATE)
                case ReplyStarted(windows=windows, prefilled_before_end=prefilled):
                    self._state = "started"
                    self.latency.windows = windows
                    self.latency.prefilled_before_end = prefilled
                    self._settle_listening(at)
                case ToolCalled():
                    self.latency.call_ms = self.latency.call_ms or self.latency.compute_ms
                case ReplyDelta():
                    self._state = "replying"
                case ReplyEnded(tokens=tokens):
                    self.latency.tokens_per_s = tokens / self._decode_s if self._decode_s else 0.0
                    done, self.latency = self.latency, Latency()
                    self._state, self._decode_s = "speaking", 0.0
                    return done
                case _:
                    pass
        return None

    def _mark(self, work: Work, events: list[Event]) -> None:
        """Note when the work for the reply was done. If speech resumes, the work is done again, and
        the later times replace these."""
        if self._state == "replying" or any(isinstance(e, ReplyStarted) for e in events):
            return
        now = round(self._now * SAMPLE_RATE)
        match work:
            case Work.ENCODE:
                self.latency.encoded_at = now
            case Work.ASK:
                self.latency.kv_ready_at, self.latency.first_token_at = now, 0
            case Work.DECODE if not self.latency.first_token_at:
                self.latency.first_token_at = now

    def _add(self, work: Work, milliseconds: float) -> None:
        match work, self._state:
            case ((Work.LISTEN | Work.PREFILL | Work.DRAFT), "speaking"):
                self.latency.listening_ms += milliseconds
            case ((Work.ENCODE | Work.ASK | Work.DECODE), "speaking"):
                self.latency.secret_ms += milliseconds
            case Work.ENCODE, "ended" | "asked" | "started":
                self.latency.encode_ms += milliseconds
            case ((Work.PREFILL | Work.ASK), "ended" | "asked" | "started"):
                self.latency.prefill_ms += milliseconds
            case Work.DECODE, "ended" | "asked" | "started":
                self.latency.first_token_ms += milliseconds

    def _settle_listening(self, at: int) -> None:
        heard_s = (at - self._since) / SAMPLE_RATE
        self.latency.ear_rtf = self._listened_s / heard_s if heard_s else 0.0
        self._listened_s, self._since = 0.0, at
