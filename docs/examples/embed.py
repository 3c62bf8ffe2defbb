"""Hears a recording and prints what comes of it: the core alone, without server, threads or clock.

python docs/examples/embed.py demo/kitchen.flac --preset nano
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from assistant.files.presets import shipped_config
from assistant.model import load
from assistant.prompt.prompt import instruction
from assistant.sound.recording import load_pcm16
from streaming.build import build_session
from streaming.config_file import load_config
from streaming.controls import Ask
from streaming.dialogue.session import Session
from streaming.dialogue.work import NEED_DATA
from streaming.events import Event, ReplyDelta, ReplyEnded, SpeechEnded, SpeechStarted

CHUNK = 4_000
"""Bytes that are given at once; any number will do."""


def events_of(session: Session) -> Iterator[Event]:
    """Everything the session has to say about what it was given so far."""
    while (events := session.step()) is not NEED_DATA:
        yield from events


def hear(session: Session, pcm: bytes) -> Iterator[Event]:
    """Give a session 16 kHz PCM16 piece by piece, and a typed question at the end."""
    for at in range(0, len(pcm), CHUNK):
        session.receive(pcm[at : at + CHUNK])
        yield from events_of(session)
    session.control(Ask("What did you hear?"))
    session.receive_eof()
    yield from events_of(session)


def show(event: Event) -> None:
    """Print the events that a listener would care about."""
    match event:
        case SpeechStarted(at=at):
            print(f"{at / 16_000:6.2f} s  speech starts")
        case SpeechEnded(at=at):
            print(f"{at / 16_000:6.2f} s  speech ends")
        case ReplyDelta(text=text):
            print(text, end="", flush=True)
        case ReplyEnded():
            print()


def main() -> None:
    """Hear the recording that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("recording", type=Path)
    parser.add_argument("--preset", default=None)
    options = parser.parse_args()
    config = load_config(shipped_config(), options.preset)
    model = load(config.model)  # shared by any number of sessions
    task = instruction(None, None, None, config.model.prompt.default_task)
    session = build_session(model, config, task)
    for event in hear(session, load_pcm16(options.recording)):
        show(event)


if __name__ == "__main__":
    main()
