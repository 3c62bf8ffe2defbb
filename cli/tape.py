"""`salmonn-live record`, and `replay` of what it wrote."""

import difflib
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console
from rich.progress import track

from assistant.errors import AssistantError
from cli.options import (
    InstructionOption,
    LoraScaleOption,
    PresetOption,
    TaskOption,
    configure,
    load_model,
)
from cli.training import ConfigOption

TAPE = ".jsonl"


def tape_commands(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(record)


def record(
    file: Annotated[Path, typer.Argument(help="A recording: wav, flac, ogg, opus or mp3.")],
    tape: Annotated[Path, typer.Argument(help="Receives all input and all events: a .jsonl.")],
    instruction: InstructionOption = None,
    task: TaskOption = None,
    config: ConfigOption = None,
    preset: PresetOption = None,
    lora_scale: LoraScaleOption = None,
) -> None:
    """Hear a recording at the pace of its audio, and write the session to a tape for `replay`."""
    settings = configure(config, preset, lora_scale)  # a wrong key is told before torch is there
    from assistant.prompt.prompt import instruction as choose
    from assistant.rates import SAMPLE_RATE
    from assistant.sound.recording import load_pcm16
    from streaming.audio.frames import FRAME_BYTES
    from streaming.build import make_session, offered, session_spec
    from streaming.dialogue.work import NEED_DATA
    from streaming.instruments.replay import run_calls
    from streaming.shell import now, shell_of
    from streaming.tape.tape import Recorder

    pcm = load_pcm16(file)
    words = choose(instruction, task, None, settings.model.prompt.default_task)
    with closing(shell_of(settings)) as shell:
        model = load_model(settings)
        tools = offered(model, settings, shell.functions.values())
        spec = session_spec(model, settings, words, tools=tools, sleeps=True)
        calls = shell.calls().run
        with _opened(tape) as stream:
            begin = time.perf_counter()
            recorder = Recorder(
                make_session(model, spec),
                spec.head(),
                stream.write,
                lambda: 1000 * (time.perf_counter() - begin),
            )
            if tools is not None:
                recorder.control(now())

            def step() -> bool:
                """Whether there was something to do."""
                events = recorder.step()
                if events is not NEED_DATA:
                    run_calls(recorder, calls, events)
                return events is not NEED_DATA

            for at in track(range(0, len(pcm), FRAME_BYTES), "hearing"):
                due = begin + (at + FRAME_BYTES) / (2 * SAMPLE_RATE)
                while (early := due - time.perf_counter()) > 0:
                    if not step():
                        time.sleep(early)
                recorder.receive(pcm[at : at + FRAME_BYTES])
            recorder.receive_eof()
            while step():
                pass
            recorder.close()


def _opened(tape: Path) -> TextIO:
    try:
        return tape.open("w", encoding="utf-8")
    except OSError as error:
        raise AssistantError(f"{tape}: {error.strerror}") from error


def replay_tape(
    file: Path, config: Path | None, recut: int | None, as_json: bool, realtime: bool
) -> None:
    """Repeat the session on a tape, and compare its events with those on the tape.

    Raises:
        AssistantError: the file is no tape, or the events differ.
    """
    from streaming.instruments.replay import play
    from streaming.instruments.show import Screen
    from streaming.tape.event_json import to_json
    from streaming.tape.tape import TapeError, read_tape

    try:
        with file.open(encoding="utf-8") as lines:
            tape = read_tape(lines)
    except OSError as error:
        raise AssistantError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AssistantError(f"{file}: not a tape (byte {error.start} is not UTF-8)") from error
    except TapeError as error:
        raise AssistantError(f"{file}: {error}") from error
    settings = configure(config, tape.head.get("preset"))
    from streaming.build import make_session, others, spec_of_tape  # torch

    spec, model = spec_of_tape(tape), load_model(settings)
    session = make_session(model, spec, pace=tape.pace)
    screen = Screen(Console(emoji=False))
    came = []
    for event in play(tape if recut is None else tape.recut(recut), session, realtime=realtime):
        came.append(to_json(event))
        if as_json:
            typer.echo(came[-1])
        else:
            screen.show(event)
    if came != tape.events:
        sys.stderr.writelines(
            f"{line}\n"
            for line in difflib.unified_diff(tape.events, came, "tape", "now", lineterm="", n=1)
        )
        why = "".join(f"; {reason}" for reason in others(model, settings, spec))
        raise AssistantError(f"{file}: other events than those on the tape{why}")
    if not as_json:
        typer.echo(f"The same {len(came)} events as on the tape.")
