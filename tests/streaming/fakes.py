"""A scripted user and a scripted model: conversations in which every sample is known."""

import re
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from assistant.tools.tool import Tool, ToolCall, ToolChoice
from assistant.voice.voice import Speech, SpokenWord
from streaming.audio.endpointer import Endpointer
from streaming.audio.frames import FRAME_SAMPLES, Frame
from streaming.audio.wire_audio import InputDecoder, InputFormat
from streaming.config import EndpointingConfig, TurnsConfig
from streaming.controls import Control, Key, Role
from streaming.dialogue.aloud import Aloud
from streaming.dialogue.session import Session, one_each
from streaming.dialogue.work import NEED_DATA, Pace
from streaming.events import Event, ReplyDelta, Runner

CONFIG = EndpointingConfig(
    min_speech_frames=3, pause_frames=4, min_silence_frames=8, eagerness=None
)
TURNS = TurnsConfig(context_s=0.1, barge_in_frames=6)

Script = list[bytes | Control]
"""What a client sends, in order."""

WINDOW = 4 * FRAME_SAMPLES
"""Samples of the scripted model's window."""


LEVELS = {".": 0, "S": 16384, "M": 12000, "X": 13000, "W": 14000}
WORDS = {"S": "", "M": "Mhm. ", "X": "Stop! ", "W": "Wait a moment. "}
"""What is understood of such frames in a row; S: of a cough, nothing."""


def pcm(script: str) -> bytes:
    """`"..SSS.."` -> two frames of silence, three of speech, two of silence; see `WORDS`."""
    levels = [LEVELS[mark] for mark in script]
    return np.repeat(np.array(levels, "<i2"), FRAME_SAMPLES).tobytes()


def framed(audio: bytes) -> list[Frame]:
    """The whole frames of PCM at 16 kHz."""
    return InputDecoder(InputFormat()).push(audio)


def loudness(frame: Frame) -> bool:
    return bool(np.abs(frame.samples()).mean() > 0.1)


class Echo:
    """A listener that tells how many windows a turn was about, and keeps a diary."""

    def __init__(self) -> None:
        self.heard: list[NDArray[np.float32]] = []
        self.samples = 0
        self.first = 0  # window of the turn
        self.spoken_from = 0  # sample of its utterance
        self.cached = 0  # windows of the turn in the cache
        self.settled = 0
        self.ahead: int | None = None  # provisional windows while paused
        self.ahead_cached = 0
        self.paused_windows = 0
        self.is_open = False
        self.reply: list[str | ToolCall] | None = None
        self.declared: tuple[str, ...] = ()  # names of functions
        self.runners: dict[str, Runner] = {}  # who runs them
        self.coming: list[tuple[int, str]] = []  # timers: samples, and names
        self.tools: tuple[str, ...] = ()  # of the open turn
        self.made = 0
        self.most = self.usual = 99  # tokens of a reply
        self.diary: list[str] = []
        self.untidy = 0  # pieces of work that a closed turn leaves
        self.turn = 0  # answered
        self.knocks = False  # a knock is in the first window
        self.chance: float | None = None  # that the speaker has finished
        self.written: list[tuple[str, Role, str]] = []  # and not answered
        self.question: str | None = None  # what is asked about the open turn
        self.asked: tuple[str, ...] = ()  # of what was written, by the open turn

    @property
    def whole(self) -> int:
        return self.samples // WINDOW

    @property
    def waiting(self) -> int:
        end = self.whole if self.ahead is None else self.paused_windows
        return end - self.first - self.cached

    def hear(self, samples: NDArray[np.float32]) -> int:
        self.heard.append(samples)
        self.samples += len(samples)
        return self.waiting if self.is_open and self.ahead is None else 0

    def sounds(self) -> list[tuple[int, int, str, float]]:
        first = self.samples == WINDOW and len(self.heard[-1])
        return [(0, WINDOW, "knock", 0.9)] if first and self.knocks else []

    def write(self, ref: str, role: Role, text: str, after: Key | None = None) -> None:
        refs = ["root", *(written[0] for written in self.written)]
        self.written.insert(refs.index(after) if after in refs else len(refs), (ref, role, text))

    def note_call(self, ref: str, call: ToolCall, after: Key | None = None) -> None:
        self.diary.append(f"called {call.name}")

    def note_result(self, ref: str, call: str, output: str, after: Key | None = None) -> None:
        self.written.append((ref, "user", output))

    def claim(self, waits: bool) -> None:
        self.diary.append("claimed" if waits else "unclaimed")

    @property
    def unanswered(self) -> list[tuple[str, Role, str]]:
        last = max(
            (n for n, (_, role, _) in enumerate(self.written) if role == "assistant"), default=-1
        )
        return [written for written in self.written[last + 1 :] if written[1] == "user"]

    @property
    def is_asked(self) -> bool:
        return bool(self.unanswered)

    def answers(self) -> tuple[str, ...]:
        return self.asked

    def callable(self) -> tuple[str, ...]:
        return self.tools

    def open(
        self,
        since: int,
        instruction: str | None = None,
        spoken_from: int | None = None,
        *,
        typed: bool = False,
        alone: bool = False,
    ) -> int:
        assert not self.is_open
        texts = self.unanswered if typed and not alone else []
        self.asked = tuple(ref for ref, *_ in texts)
        self.written = [written for written in self.written if written not in texts]
        instruction = "\n".join(filter(None, [instruction, *(text for *_, text in texts)]))
        self.question = instruction or None
        self.is_open, self.reply, self.ahead, self.cached, self.settled = True, None, None, 0, 0
        self.most, self.tools = self.usual, self.declared
        self.first = min(since // WINDOW, self.whole)
        self.spoken_from = self.samples if spoken_from is None else spoken_from
        self.diary.append(f"open {self.first}" + (f" {instruction}" if instruction else ""))
        return self.waiting

    def instruct(self, instruction: str | None) -> None:
        assert self.is_open
        self.cached, self.reply, self.made = self.settled, None, 0
        self.diary.append(f"instructed {instruction}")

    def require(
        self,
        max_new_tokens: int | None = None,
        *,
        kept: bool = True,
        tools: tuple[Tool, ...] | None = None,
        tool_choice: ToolChoice | None = None,
    ) -> None:
        assert self.reply is None
        self.most = self.most if max_new_tokens is None else max_new_tokens
        if not kept:
            self.diary.append("aside")
        if tools is not None:
            self.tools = tuple(tool.name for tool in tools)

    def prefill(self) -> int:
        assert self.reply is None
        self.cached += self.waiting
        self.settled = self.cached
        self.ahead_cached = self.ahead or 0
        return self.cached + self.ahead_cached

    draft_samples = 0

    def draft(self) -> None:
        raise AssertionError("nothing is read here")

    def pause(self) -> int:
        assert self.is_open
        assert self.ahead is None
        self.paused_windows, self.ahead_cached = self.whole, 0
        self.ahead = -(-(self.samples % WINDOW) // WINDOW)
        return self.ahead

    def finished(self) -> float | None:
        assert self.ahead is not None
        return self.chance

    def said(self) -> str:
        assert self.is_open
        return self.overheard(self.spoken_from)

    def overheard(self, since: int) -> str:
        levels = {round(level): mark for mark, level in LEVELS.items()}
        heard = np.concatenate([np.zeros(0, np.float32), *self.heard])[since::FRAME_SAMPLES]
        marks = [levels.get(round(32768 * float(level)), "S") for level in heard]
        return "".join(WORDS.get(mark, "") for mark, _ in groupby(marks))

    def resume(self) -> int:
        assert self.ahead is not None
        if self.reply is not None:
            self.diary.append("taken back")
        self.cached, self.ahead, self.reply, self.made = self.settled, None, None, 0
        return self.waiting

    def ask(self) -> int:
        assert self.ahead is not None
        assert self.waiting == 0
        self.cached += self.ahead
        self.reply, self.made = ["I heard ", "", str(self.cached), " windows"], 0
        return self.cached

    def text_tokens(self) -> int:
        return 5

    def token(self) -> str | ToolCall | None:
        assert self.reply is not None
        self.made += 1
        return self.reply[self.made - 1] if self.made <= min(self.most, len(self.reply)) else None

    def cut_short(self) -> bool:
        return self.made > self.most

    def caption(self, *, last: bool = False) -> tuple[str, str] | None:
        assert self.is_open
        return ("all", "") if last else (f"{self.cached} ", "?")

    def configure(
        self,
        instruction: str | None,
        max_new_tokens: int | None,
        captions: bool | None,
        sound_events: bool | None,
        temperature: float | None,
        top_p: float | None,
        tools: tuple[Tool, ...] | None,
        tool_choice: ToolChoice | None,
    ) -> None:
        self.diary.append(f"configured {instruction}")
        self.sampling = temperature, top_p
        if max_new_tokens is not None:
            self.usual = max_new_tokens
        if tools is not None:
            self.declared = tuple(tool.name for tool in tools)

    def tidy(self) -> bool:
        assert not self.is_open
        self.untidy = max(0, self.untidy - 1)
        return self.untidy > 0

    def whose(self, name: str) -> Runner:
        return self.runners.get(name, "client")

    def only_ours(self) -> bool:
        return all(self.whose(name) == "session" for name in self.callable())

    def run(self, call: ToolCall) -> tuple[str, str | None]:
        self.diary.append(f"ran {call.name}")
        return call.arguments, f"{call.name} done"

    def go_on(self, results: Sequence[tuple[str, str]], say: str | None) -> None:
        assert self.reply is not None
        self.reply = [*self.reply[: self.made - 1], say or f"told {results}"]
        self.made -= 1

    def notices(self) -> list[tuple[str, str, str]]:
        due = [one for one in self.coming if one[0] <= self.samples]
        self.coming = [one for one in self.coming if one not in due]
        return [("timer", name, f"{name} rings") for _, name in due]

    def announce(self, text: str) -> None:
        assert not self.is_open
        self.is_open, self.ahead, self.reply, self.made = True, 0, [text], 0
        self.most, self.tools, self.asked = self.usual, (), ()
        self.diary.append(f"announce {text}")

    def tell_time(self, local: str) -> None:
        self.diary.append(f"it is {local}")

    def drop(self) -> None:
        assert self.is_open
        self.is_open = False
        self.diary.append("answered")  # the diary does not tell them apart

    def forget(self, key: Key) -> None:
        if isinstance(key, str):
            self.written = [written for written in self.written if written[0] != key]
            self.diary.append(f"erased {key}")
        else:
            self.diary.append(f"forgot {key[1]} {key[0]}")

    def unhear(self, since: int, until: int) -> None:
        self.diary.append(f"unheard {since} {until}")

    def truncate(self, turn: int, characters: int) -> None:
        self.diary.append(f"truncated {turn} to {characters}")

    def close(self, said: int | None = None) -> None:
        assert self.is_open
        self.is_open = False
        self.turn += 1
        self.diary.append("answered" if said is None else f"said {said}")


class Speaker:
    """A voice that takes 10 ms for a character."""

    name = "speaker"

    def __init__(self) -> None:
        self.spoken: list[str] = []

    def speak(self, text: str, speed: float = 1.0) -> Speech:
        self.spoken.append(text)
        ends = [found.end() for found in re.finditer(r"\S+\s*", text)]
        begins = [found.start() for found in re.finditer(r"\S+", text)]
        size = round(CHARACTER / speed)
        words = tuple(SpokenWord(size * b, e) for b, e in zip(begins, ends, strict=True))
        samples = np.repeat(np.frombuffer(text.encode("latin-1"), np.uint8).astype("<i2"), size)
        return Speech(samples.tobytes() if words else b"", words)


CHARACTER = 240
"""Samples that `Speaker` makes of one."""


def endpointer(config: EndpointingConfig) -> Endpointer | None:
    return None if config.detector == "manual" else Endpointer(lambda: loudness, config)


def session(
    listener: Echo | None = None,
    turns: TurnsConfig = TURNS,
    pace: Pace | None = one_each,
    config: EndpointingConfig = CONFIG,
    by_hand: bool = False,
    voice: Speaker | None = None,
) -> Session:
    return Session(
        InputDecoder(InputFormat()),
        endpointer(config.model_copy(update={"detector": "manual"} if by_hand else {})),
        listener or Echo(),
        turns,
        make_endpointer=endpointer,
        aloud=None if voice is None else Aloud(voice),
        pace=pace,
    )


def paced(tokens: int) -> Pace:
    return lambda _: tokens


def drain(session: Session) -> list[Event]:
    events: list[Event] = []
    while (new := session.step()) is not NEED_DATA:
        assert isinstance(new, list)
        events.extend(new)
    return events


def converse(session: Session, chunks: Sequence[bytes | Control]) -> list[Event]:
    events: list[Event] = []
    for chunk in chunks:
        if isinstance(chunk, bytes):
            session.receive(chunk)
        else:
            session.control(chunk)
        events += drain(session)
    session.receive_eof()
    return events + drain(session)


def text(events: list[Event]) -> str:
    return "".join(e.text for e in events if isinstance(e, ReplyDelta))
