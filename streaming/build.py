"""Putting a session together."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from assistant.config import ModelConfig
from assistant.conversation import Conversation
from assistant.errors import ConfigError
from assistant.files.presets import validate
from assistant.model import Salmonn
from assistant.parts.fingerprint import PARTS, fingerprints
from streaming.audio.wire_audio import InputDecoder, InputFormat
from streaming.config import Config, EndpointingConfig, TurnsConfig
from streaming.detectors.choose import choose_endpointer
from streaming.dialogue.session import Pace, Session
from streaming.tape.tape import Tape


def build_session(
    model: Salmonn,
    config: Config,
    instruction: str,
    *,
    input_format: InputFormat | None = None,
    pace: Pace | None = None,
) -> Session:
    """A session over `model`, which any number of them may share.

    Args:
        model: shared weights.
        config: endpointing and turns.
        instruction: what is asked about every utterance.
        input_format: of the bytes that come in; 16 kHz PCM16 where None.
        pace: see `Session`.
    """
    turns = config.turns
    talk = Conversation(
        model,
        instruction,
        turns_kept=turns.turns_kept,
        captions=turns.captions,
        ring_s=turns.ring_s,
        silence_db=turns.silence_db,
        sound_events=turns.sound_events,
    )
    return Session(
        InputDecoder(input_format or InputFormat()),
        choose_endpointer(config.endpointing),
        talk,
        turns,
        make_endpointer=choose_endpointer,
        pace=pace,
    )


def tape_head(
    config: Config, instruction: str, input_format: InputFormat | None = None
) -> dict[str, Any]:
    """What a tape says about how its session was made."""
    return {
        "preset": config.preset,
        "instruction": instruction,
        "format": asdict(input_format or InputFormat()),
        "endpointing": config.endpointing.model_dump(),
        "turns": config.turns.model_dump(),
        "weights": fingerprints(config.model),
        "model": _settings(config.model),
    }


def _settings(model: ModelConfig) -> dict[str, Any]:
    """A preset's settings, apart from where its weights lie: `fingerprints` tells those."""
    weights: dict[str, Any] = {part: {"weights"} for part in PARTS}
    return model.model_dump(exclude={"checkpoint": True, **weights})


def others(config: Config, tape: Tape) -> list[str]:
    """How the model of `config` is another one than the tape's, where the tape tells.

    The tape's endpointing, turns and format are not among it: a session like its has them.
    """
    made_with: dict[str, Any] = {"weights": fingerprints(config.model)}
    made_with["settings"] = _settings(config.model)
    told = {"weights": tape.head.get("weights"), "settings": tape.head.get("model")}
    found = []
    for what, head in told.items():
        if isinstance(head, dict):
            changed = list(_changes(head, made_with[what]))
            if changed:
                found.append(f"the tape was made with other {what}: {', '.join(changed)}")
    return found


def _changes(then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Keys, with dots between, whose values differ, and both values."""
    for key in dict.fromkeys([*then, *now]):
        before, after = then.get(key), now.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from (f"{key}.{change}" for change in _changes(before, after))
        elif before != after:
            yield f"{key} ({before!r:.60}, now {after!r:.60})"


def session_of_tape(model: Salmonn, config: Config, tape: Tape) -> Session:
    """A session like the one on `tape`, over `model`, which is that of the tape's preset.

    Raises:
        ConfigError: the tape's settings are not ours.
    """
    head = tape.head
    settings = replace(
        config,
        endpointing=validate(EndpointingConfig, head.get("endpointing", {}), "tape: endpointing"),
        turns=validate(TurnsConfig, head.get("turns", {}), "tape: turns"),
    )
    try:
        input_format = InputFormat(**head.get("format", {}))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"tape: format: {error}") from error
    words = str(head.get("instruction", ""))
    return build_session(model, settings, words, input_format=input_format, pace=tape.pace)
