"""Puts a session together."""

from collections.abc import Collection, Iterator
from typing import Any

from assistant.config import ModelConfig, VoiceConfig
from assistant.conversation import Conversation
from assistant.errors import ConfigError, ToolError
from assistant.files.presets import validate
from assistant.model import Salmonn
from assistant.own_tools import OwnTools, names
from assistant.parts.fingerprint import PARTS, fingerprints
from assistant.toolbox.functions import Function
from assistant.tools.grammar import Grammar, Vocabulary
from assistant.transcribing import Transcribing
from assistant.voice.choose import load_voice
from assistant.voice.voice import NONE
from streaming.audio.wake_word import WakeWord
from streaming.audio.wire_audio import InputDecoder, InputFormat
from streaming.config import Config, EndpointingConfig, WakeWordConfig
from streaming.detectors.choose import choose_endpointer
from streaming.detectors.wake_word import phrase, wake_word
from streaming.dialogue.aloud import Aloud
from streaming.dialogue.narrator import Narrator
from streaming.dialogue.session import Session
from streaming.dialogue.wakefulness import Wakefulness
from streaming.dialogue.work import Pace
from streaming.spec import SessionSpec, ToolsSpec
from streaming.tape.tape import Tape

TURNS_KEPT = {"words": 12, "audio": 0}
"""Past turns in the LLM's context if `turns.turns_kept` is null, by what the LLM reads."""


def session_spec(
    model: Salmonn,
    config: Config,
    instruction: str,
    input_format: InputFormat | None = None,
    *,
    aloud: bool = False,
    tools: ToolsSpec | None = None,
    sleeps: bool = False,
) -> SessionSpec:
    """The specification of sessions with a model.

    Args:
        model: shared weights; those of the configuration's preset.
        config: preset, endpointing, turns and voice.
        instruction: the instruction for every turn.
        input_format: format of the input bytes; None: 16 kHz PCM16.
        aloud: replies are spoken, where the configuration has a voice.
        tools: functions of our own, see `offered`; None: none.
        sleeps: nobody is listened to until the wake word was said, where the configuration has one.

    Raises:
        AssistantError: a part of the preset is not there, so its weights have no digest.
    """
    turns = config.turns
    if turns.turns_kept is None:
        turns = turns.model_copy(update={"turns_kept": TURNS_KEPT[config.model.reads]})
    return SessionSpec(
        preset=config.preset,
        instruction=instruction,
        format=input_format or InputFormat(),
        endpointing=endpointing_of(config),
        turns=turns,
        voice=config.voice if aloud and config.voice.name != NONE else None,
        tools=tools,
        wake_word=config.wake_word if sleeps and config.wake_word.model is not None else None,
        weights=fingerprints(config.model),
        model=_settings(config.model),
        engine=_engine(model),
    )


def endpointing_of(config: Config) -> EndpointingConfig:
    """The endpointing of a configuration, without the eagerness where the preset judges nothing."""
    if config.model.end_of_turn is not None:
        return config.endpointing
    return config.endpointing.model_copy(update={"eagerness": None})


def build_session(
    model: Salmonn,
    config: Config,
    instruction: str,
    *,
    input_format: InputFormat | None = None,
    aloud: bool = False,
    tools: ToolsSpec | None = None,
    sleeps: bool = False,
    pace: Pace | None = None,
) -> Session:
    """Make a session with `model`, which any number of sessions may share.

    Args:
        model: shared weights; those of the configuration's preset.
        config: preset, endpointing, turns and voice.
        instruction: the instruction for every turn.
        input_format: format of the input bytes; None: 16 kHz PCM16.
        aloud: replies are spoken, where the configuration has a voice.
        tools: functions of our own, see `offered`: whoever steps the session runs those that are
            the shell's, and tells the time; None: none.
        sleeps: see `session_spec`.
        pace: see `Session`.

    Raises:
        AssistantError: the voice, or the wake word, cannot be used here.
    """
    how: dict[str, Any] = {"aloud": aloud, "tools": tools, "sleeps": sleeps}
    spec = session_spec(model, config, instruction, input_format, **how)
    return make_session(model, spec, pace=pace)


def offered(
    model: Salmonn, config: Config, functions: Collection[Function] = ()
) -> ToolsSpec | None:
    """The functions of our own that sessions offer; None: none, since the preset's LLM is not
    offered any, or the configuration wants none.

    Args:
        model: shared weights.
        config: its section `tools`.
        functions: of the user.

    Raises:
        ConfigError: there is no such function, two have one name, or calls of one cannot be held to
            its schema.
    """
    if not config.model.prompt.toolbox or model.calls is None:
        return None
    own = names() if config.tools.own is None else tuple(config.tools.own)
    spec = ToolsSpec(own=own, functions=tuple(function.tool for function in functions))
    if not (own or functions):
        return None
    vocabulary = model.vocabulary  # takes a second or two, for which no reply should wait
    assert vocabulary is not None, "the LLM calls functions"
    for function in functions:
        _check(vocabulary, function)
    try:
        Grammar(vocabulary, _own_tools(model, spec).tools)
    except ToolError as error:
        raise ConfigError(f"tools.{error}") from error
    return spec


def _check(vocabulary: Vocabulary, function: Function) -> None:
    try:
        Grammar(vocabulary, [function.tool])
    except ToolError as error:
        why = str(error).removeprefix(f"{error.field}: ")
        raise ConfigError(f"{function.source}: {why}") from error


def _own_tools(model: Salmonn, spec: ToolsSpec) -> OwnTools:
    sounds = () if model.tagger is None else model.tagger.names
    return OwnTools(spec.own, spec.functions, sounds, model.calls)


def make_session(model: Salmonn, spec: SessionSpec, *, pace: Pace | None = None) -> Session:
    """Make the session of a specification.

    Args:
        model: shared weights; those of the specification.
        spec: how the session is made.
        pace: see `Session`.

    Raises:
        AssistantError: the voice, or the wake word, cannot be used here.
    """
    turns, voice = spec.turns, spec.voice
    talk = Conversation(
        model,
        spec.instruction,
        turns_kept=turns.turns_kept or 0,
        captions=turns.captions,
        ring_s=turns.ring_s,
        silence_db=turns.silence_db,
        sound_events=turns.sound_events,
        own=None if spec.tools is None else _own_tools(model, spec.tools),
    )
    return Session(
        InputDecoder(spec.format),
        choose_endpointer(spec.endpointing),
        talk,
        turns,
        make_endpointer=choose_endpointer,
        aloud=None if voice is None else Aloud(load_voice(voice.name), voice.speed),
        wakefulness=_wakefulness(spec.wake_word),
        pace=pace,
    )


def _wakefulness(config: WakeWordConfig | None) -> Wakefulness | None:
    if config is None or config.model is None:
        return None
    word = WakeWord(wake_word(config.model, config.threshold))
    return Wakefulness(word, phrase(config.model), config.sleep_after_s)


def make_reader(model: Salmonn, spec: SessionSpec) -> Session:
    """Make a session that writes down what is said, and answers nothing.

    Args:
        model: shared weights.
        spec: how a session is made that answers.

    Raises:
        ComponentError: the preset's Whisper has no decoder.
    """
    turns = spec.turns.model_copy(update={"captions": True, "auto_reply": False})
    return Session(
        InputDecoder(spec.format),
        choose_endpointer(spec.endpointing),
        Transcribing(model, ring_s=turns.ring_s, silence_db=turns.silence_db),
        turns,
        make_endpointer=choose_endpointer,
    )


def make_narrator(voice: VoiceConfig, speed: float = 1.0) -> Narrator:
    """Make somebody who speaks what others wrote.

    Args:
        voice: who speaks, and how fast; not `none`.
        speed: times as fast as that.

    Raises:
        AssistantError: the voice cannot be used here.
    """
    loaded = load_voice(voice.name)
    assert loaded is not None, "no voice is offered"
    return Narrator(loaded, speed * voice.speed)


def _engine(model: Salmonn) -> str:
    return type(model.llm.engine).__name__


def _settings(model: ModelConfig) -> dict[str, Any]:
    """A preset's settings without the sources of its weights, which `fingerprints` describes."""
    weights: dict[str, Any] = {part: {"weights"} for part in PARTS}
    return model.model_dump(exclude={"checkpoint": True, **weights})


def spec_of_tape(tape: Tape) -> SessionSpec:
    """The specification of the session on a tape.

    Raises:
        ConfigError: the tape has settings that this version does not know.
    """
    return validate(SessionSpec, tape.head, "tape")


def others(model: Salmonn, config: Config, spec: SessionSpec) -> list[str]:
    """Differences between the model of `config` and that of a specification, a sentence each.

    Endpointing, turns and format are not compared: a session made from the specification has them.
    """
    made_with: dict[str, Any] = {"weights": fingerprints(config.model)}
    made_with["settings"] = _settings(config.model)
    found = []
    for what, then in {"weights": spec.weights, "settings": spec.settings}.items():
        if then is not None:
            changed = list(_changes(then, made_with[what]))
            if changed:
                found.append(f"the tape was made with other {what}: {', '.join(changed)}")
    if spec.engine not in (None, now := _engine(model)):
        found.append(f"the tape was made with another engine: {spec.engine}, now {now}")
    return found


def _changes(then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """The keys whose values differ, with dots between their parts, and both values."""
    for key in dict.fromkeys([*then, *now]):
        before, after = then.get(key), now.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from (f"{key}.{change}" for change in _changes(before, after))
        elif before != after:
            yield f"{key} ({before!r:.60}, now {after!r:.60})"
