"""Puts a server together."""

import threading
from collections.abc import Callable
from functools import partial

from assistant.errors import ComponentError, ConfigError
from assistant.memory import trim
from assistant.model import Salmonn
from assistant.tools.grammar import Grammar
from assistant.tools.tool import Tool, ToolChoice
from assistant.voice.choose import load_voice
from streaming.build import (
    endpointing_of,
    make_narrator,
    make_reader,
    make_session,
    offered,
    session_spec,
)
from streaming.config import Config
from streaming.realtime.protocol import Realtime
from streaming.realtime.session_config import Settings, initial
from streaming.realtime.tools import Check
from streaming.server.api.build import Makers, works
from streaming.server.api.chat import Answerer
from streaming.server.assistant import Assistant
from streaming.shell import Calls, Shell

CHARACTERS = 8
"""Characters of a text per position of the LLM's context; more cannot fit in any language."""

UNLIMITED = 8192
"""Assumed positions of an LLM whose configuration states no limit."""


def build_assistant(
    model: Salmonn, config: Config, instruction: str, shell: Shell | None = None
) -> Assistant:
    """Make `model` ready to be served.

    Args:
        model: shared weights.
        config: settings of endpointing, turns and voice that every session begins with.
        instruction: the instruction for every turn, until a client sets another one.
        shell: runs functions of ours and of the user; None: lists are gone with their session, and
            the user has no functions.

    Raises:
        ConfigError: `config` asks for something that the preset cannot do.
        AssistantError: the voice cannot be used here.
    """
    settings = Settings(config.turns, endpointing_of(config))
    transcribes, named = has_decoder(model), model.tagger is not None
    if config.turns.captions and not transcribes:
        raise ConfigError("turns.captions: the preset's Whisper has no decoder to read with")
    if config.turns.sound_events and not named:
        raise ConfigError("turns.sound_events: the preset has no sound_tagger")

    runs = shell or Shell()
    tools = offered(model, config, runs.functions.values())
    spec = session_spec(model, config, instruction, aloud=True, tools=tools, sleeps=True)
    make_session(model, spec)  # so that no session waits for what stands before all turns
    voice = load_voice(config.voice.name)  # so that no session waits for it
    trim()  # of what was read meanwhile

    def new_protocol(name: str, new_id: Callable[[str], str], expires_at: int) -> Realtime:
        return Realtime(
            initial(
                settings,
                spec.voice,
                id=name,
                model=config.preset,
                expires_at=expires_at,
                instructions=instruction,
            ),
            settings,
            new_id,
            longest=model.config.generation.max_new_tokens,
            longest_text=CHARACTERS * (model.llm.context or UNLIMITED),
            audio_tokens_per_window=model.ear.aligner.per_window,
            can_transcribe=transcribes,
            can_name_sounds=named,
            reads_words=config.model.reads == "words",
            check_tools=check_tools,
        )

    check_tools = _tool_check(model)

    def new_calls() -> Calls | None:
        return None if tools is None else runs.calls()

    # What a timer tells comes after an answer, and nobody has to be woken for one.
    alone = spec.model_copy(update={"tools": None, "wake_word": None})
    answerer = Answerer(
        config.preset,
        partial(make_session, model, alone),
        new_protocol,
        partial(make_reader, model, spec) if transcribes else None,
        config.voice.name,
        reads_words=config.model.reads == "words",
    )
    makers = Makers(None if voice is None else partial(make_narrator, config.voice), answerer)
    return Assistant(
        config.preset,
        partial(make_session, model, spec),
        new_protocol,
        new_calls,
        answerer.new_reader,
        works=partial(works, makers),
    )


def _tool_check(model: Salmonn) -> Check | None:
    """What says whether functions can be called; None: the preset's LLM calls none."""
    if not model.calls:
        return None
    threading.Thread(target=lambda: model.vocabulary, daemon=True).start()  # takes seconds

    def check(tools: tuple[Tool, ...], choice: ToolChoice) -> None:
        choice.among(tools)
        if tools and model.vocabulary is not None:
            Grammar(model.vocabulary, tools, choice)

    return check


def has_decoder(model: Salmonn) -> bool:
    """Whether a model can write down what is said."""
    try:
        return model.captions is not None
    except ComponentError:
        return False
