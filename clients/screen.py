"""Events as a person reads them in a terminal."""

import asyncio
import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from clients.questions import CANCEL, TOO_EARLY
from clients.realtime import Json

METER = 20
"""Marks of the level meter."""

REFRESH_S = 0.08
"""Least time between two pictures."""

CAPTION = "conversation.item.input_audio_transcription"
WORDS = {"response.output_text.delta", "response.output_audio_transcript.delta"}
"""Events with words of an answer: those that are spoken come with their audio."""

RING = "\a"
"""Has a terminal make a sound."""

UNIMPORTANT = {TOO_EARLY, "session_expired"}
"""Errors after which it goes on by itself: a question is asked again, another session is begun."""


class Screen:
    """What is over is printed; under it stands what goes on, where the console is a terminal."""

    def __init__(self, console: Console) -> None:
        self._out = console
        self._words = ""  # of the utterance that goes on, or was not answered yet
        self._answer: Text | None = None
        self._given: str | None = None  # the answer's response
        self._speaking = False
        self._peak: float | None = None
        self._drawn = 0.0
        self.doing = "listening"
        """Of the microphone, in a word."""

        self.asleep: str | None = None
        """What has to be said before anybody is listened to; None: nothing."""

        self.hint = ""
        """What can be done."""

        self.typing: str | None = None
        """A question that is being typed."""

        self.waiting: list[str] = []
        """Typed questions that are not answered yet."""

        self.holding = False
        """The user talks until they say that they have finished."""

        self.news = asyncio.Event()
        """Set by every event."""

        self.expecting = False
        """Someone spoke, and was not answered yet."""

        self._live = Live(
            get_renderable=self._picture, console=console, auto_refresh=False, transient=True
        )

    def __enter__(self) -> Self:
        if self._out.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, event: Json) -> None:
        """Show what an event brings."""
        self.news.set()
        match event:
            case {"type": "input_audio_buffer.speech_started"}:
                self.expecting = self._speaking = True
            case {"type": "input_audio_buffer.speech_stopped"}:
                self._speaking = False
            case {"type": kind, "delta": str(words)} if kind == f"{CAPTION}.delta":
                self._words += words
            case {"type": kind, "transcript": str(words)} if kind == f"{CAPTION}.completed":
                self._words = words
                if self._answer is None:  # it was answered, or will not be
                    self.expecting = False
                    self._caption()
            case {"type": "response.created"}:
                self.expecting = True
            case {"type": "response.output_item.added"}:
                self._answer, self._given = Text(style="bold"), event.get("response_id")
            case {"type": kind, "delta": str(text)} if kind in WORDS:
                self._answer = (self._answer or Text(style="bold")).append(text)
            case {"type": "response.done", "response": response}:
                self.expecting = False
                if self._answer is not None and response.get("id") == self._given:
                    self._answered(response["status"] == "cancelled")
            case {"type": "salmonn.latency"}:
                waited, compute = event["endpoint_wait_ms"], event["compute_ms"]
                told = f"  {compute:.0f} ms to the first text, after {waited:.0f} ms of silence"
                self._out.print(told, style="dim", highlight=False)
            case {"type": "salmonn.sound", "name": str(name)}:
                self._out.print(Text(f"♪ {name}", style="cyan"))
            case {"type": "salmonn.notice", "notice": str(kind), "name": str(name)}:
                self._out.print(Text(f"{RING}♪ {kind} {name}".rstrip(), style="cyan bold"))
            case {"type": "salmonn.wake", "phrase": str() | None as phrase}:
                self.asleep = phrase
            case {"type": "salmonn.resumed"}:
                self.note("connected again")
            case {"type": "salmonn.session_expires", "seconds_left": int(seconds)}:
                soon = "a minute" if seconds > 50 else f"{max(1, seconds)} s"
                self.note(f"this session ends in {soon}; a new one begins then")
            case {"type": "salmonn.restarted"}:
                if self._answer is not None:
                    self._answered(interrupted=True)
                self._words, self.expecting, self._speaking = "", False, False
                self.asleep = None
                self.note("connected to a new session: what was heard before is forgotten")
            case {"type": "error", "error": {"code": code, "message": str(message), **about}}:
                if code not in UNIMPORTANT and about.get("event_id") != CANCEL:
                    self._out.print(Text(message, style="red"))
            case _:
                pass
        self.draw(now=True)

    def note(self, text: str) -> None:
        """Show something that is neither an answer nor an error."""
        self._out.print(Text(text, style="dim"))

    def asked(self, question: str) -> None:
        """Show a typed question that waits no longer."""
        self._out.print(Text(f"? {question}", style="italic"))

    def level(self, peak: float) -> None:
        """Show how loud it is, 0 to 1."""
        self._peak = peak
        self.draw()

    def draw(self, *, now: bool = False) -> None:
        """Draw what goes on, unless that was just done."""
        if self._live.is_started and (now or time.monotonic() > self._drawn + REFRESH_S):
            self._drawn = time.monotonic()
            self._live.refresh()

    def _caption(self) -> None:
        if self._words.strip():
            self._out.print(Text(f"  “{self._words.strip()}”", style="italic dim"))
        self._words = ""

    def _answered(self, interrupted: bool) -> None:
        self._caption()
        answer, self._answer, self._given = self._answer, None, None
        line = Text("→ ", style="bold").append_text(answer or Text())
        if interrupted:
            line.append(" (interrupted)", style="yellow")
        self._out.print(line)

    def _picture(self) -> RenderableType:
        lines: list[Text] = []
        if self._words.strip():
            lines.append(Text(f"  “{self._words.strip()} …", style="italic dim"))
        if self._answer is not None:
            lines.append(Text("→ ", style="bold").append_text(self._answer).append("▍"))
        lines += [Text(f"? {text}{self._why()}", style="italic dim") for text in self.waiting]
        if self.typing is not None:
            lines.append(Text(f"? {self.typing}▏"))
        if self._peak is not None:
            filled = min(METER, round(METER * self._peak**0.5))
            status = Text("▮" * filled, style="green")
            doing = f"asleep: say “{self.asleep}”" if self.asleep else self.doing
            status.append("▯" * (METER - filled), style="dim").append(f"  {doing}")
            lines.append(status.append(f"   {self.hint}", style="dim"))
        return Group(*lines)

    def _why(self) -> str:
        """Why a typed question is not answered yet."""
        if self._speaking or self.holding:
            return "  (waits until you have finished)"
        return "  (waits until this answer is complete)" if self._answer is not None else ""
