"""Shows a replay in a terminal, or as JSON lines."""

import json
from dataclasses import asdict
from typing import assert_never

from rich.console import Console
from rich.markup import escape

from assistant.rates import SAMPLE_RATE
from streaming.events import (
    Accepted,
    AudioPrefilled,
    Caption,
    Cleared,
    Configured,
    Dismissed,
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
from streaming.instruments.ledger import Latency
from streaming.tape.event_json import to_json

INDENT = 11
"""Columns before lines that have no time."""

MARGIN = " " * INDENT


def line(event: Event | Latency) -> str:
    """An event as one line of JSON; times are sample indices at 16 kHz, durations milliseconds."""
    if not isinstance(event, Latency):
        return to_json(event)
    values = {k: round(v, 3) for k, v in asdict(event).items()}
    values["compute_ms"] = round(event.compute_ms, 2)
    return json.dumps({"type": "reply.latency", **values})


class Screen:
    """Prints a replay for people to read."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._replies = 0
        self._replying = False  # a line with a reply is open
        self._sleeps = False

    def show(self, event: Event | Latency) -> None:
        """Print one event."""
        out = self._console
        if self._replying and not isinstance(event, ReplyDelta | ReplyAudio | ReplyEnded):
            out.print()
            self._replying = False
        match event:
            case SpeechStarted(at):
                out.print(f"[dim]{at / SAMPLE_RATE:7.2f} s[/]  speech starts")
            case SpeechEnded(at, decided_at):
                out.print(
                    f"[dim]{at / SAMPLE_RATE:7.2f} s[/]  speech ends"
                    f" [dim](settled at {decided_at / SAMPLE_RATE:.2f} s)[/]"
                )
            case AudioPrefilled(at, windows):
                out.print(f"[dim]{at / SAMPLE_RATE:7.2f} s    {windows} windows in the KV cache[/]")
            case Caption(settled, tentative):
                if settled or tentative:
                    out.print(f"{MARGIN}[italic]{escape(settled)}[/] [dim]{escape(tentative)}[/]")
            case ReplyDelta(text):
                if not self._replying:
                    out.print(f"{MARGIN}[bold]→[/] ", end="")
                    self._replying = True
                out.print(text, end="", style="bold", markup=False, highlight=False)
                out.file.flush()
            case ToolReturned(output=output):
                out.print(f"{MARGIN}gave {output}", markup=False, highlight=False)
            case Notified(at=at, kind=kind, name=name):
                called = f" {escape(name)}" if name else ""
                out.print(f"[dim]{at / SAMPLE_RATE:7.2f} s[/]  [cyan]{kind}{called}[/]")
            case ToolCalled(name=name, arguments=arguments):
                out.print(f"{MARGIN}calls {name}({arguments})", markup=False, highlight=False)
            case ReplyEnded(reason=reason):
                self._replies += 1
                why = "" if reason == "complete" else f"[yellow]({reason})[/]"
                if self._replying or why:
                    out.print(f" {why}" if self._replying else f"{MARGIN}{why}")
                self._replying = False
            case SoundStarted(at, until, name):
                out.print(
                    f"[dim]{at / SAMPLE_RATE:7.2f} s[/]  [cyan]{escape(name)}[/]"
                    f" [dim](heard until {until / SAMPLE_RATE:.2f} s)[/]"
                )
            case FellSilent(since, at):
                out.print(
                    f"[dim]{at / SAMPLE_RATE:7.2f} s[/]  nobody has spoken for"
                    f" {(at - since) / SAMPLE_RATE:.1f} s"
                )
            case FellAsleep(at, phrase):
                self._sleeps = True
                out.print(f"[dim]{at / SAMPLE_RATE:7.2f} s    asleep: say {escape(phrase)}[/]")
            case Woken(at):
                self._sleeps = False
                out.print(f"[dim]{at / SAMPLE_RATE:7.2f} s    awake[/]")
            case Dismissed():
                out.print(f"{MARGIN}[dim]told to be quiet[/]")
            case Refused(why):
                out.print(f"{MARGIN}refused: {why}", style="yellow", markup=False)
            case HeldByHand(since, until) | Recorded(since, until):
                out.print(
                    f"[dim]{until / SAMPLE_RATE:7.2f} s[/]  {(until - since) / SAMPLE_RATE:.1f} s"
                    " were handed over"
                )
            case Cleared() | Configured() | Accepted() | ReplyStarted() | ReplyAudio():
                pass  # whoever wished it knows, or sees what follows
            case Latency():
                self._show_latency(event)
            case _:
                assert_never(event)

    def _show_latency(self, latency: Latency) -> None:
        rows = [
            f"windows       {latency.prefilled_before_end} of {latency.windows} in the KV cache "
            "before speech ended",
            f"first text    {latency.compute_ms:.0f} ms after the endpoint: "
            f"encode {latency.encode_ms:.0f}, prefill {latency.prefill_ms:.0f}, "
            f"token {latency.first_token_ms:.0f}"
            + (f", backlog {latency.backlog_ms:.0f}" if latency.backlog_ms else ""),
            *([f"call          {latency.call_ms:.0f} ms after it"] if latency.call_ms else []),
            f"waited        {latency.endpoint_wait_ms:.0f} ms of silence, to be sure",
            "reached       "
            f"last window encoded at {latency.encoded_at / SAMPLE_RATE:.2f} s, "
            f"KV cache ready at {latency.kv_ready_at / SAMPLE_RATE:.2f} s, "
            f"first token at {latency.first_token_at / SAMPLE_RATE:.2f} s",
            f"hidden        {latency.listening_ms:.0f} ms of listening behind the speech, "
            f"{latency.secret_ms:.0f} ms of work on the reply behind the wait",
            f"speed         {latency.tokens_per_s:.0f} tokens/s; the ear takes "
            f"{100 * latency.ear_rtf:.0f} % of real time",
        ]
        for row in rows:
            self._console.print(f"{MARGIN}{row}", style="dim", highlight=False)

    def close(self) -> None:
        """End the replay; says so if there was nothing to answer."""
        if not self._replies and self._sleeps:
            self._console.print("Nobody said the wake word in this recording (wake_word.model).")
        elif not self._replies:
            self._console.print("No speech was found in this recording.")
