"""Prompts: the template around an instruction and audio, and the named tasks."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from assistant.config import AUTO, ExampleConfig, PromptConfig
from assistant.errors import ConfigError
from assistant.llm.llm import Llm
from assistant.prompt.chat import Chat, Message, chat
from assistant.prompt.items import Offer
from assistant.prompt.words import in_words
from assistant.tools.form import BARE, HERMES, Form, form_of
from assistant.tools.tool import Tool


@dataclass(frozen=True, slots=True)
class Prompt:
    """A preset's template."""

    config: PromptConfig
    words: bool = False
    """The LLM reads words, not audio tokens."""

    def pieces(self, instruction: str) -> tuple[str, str]:
        """The text before and after the audio."""
        before, after = self.config.template.split("{audio}")
        return (
            before.replace("{instruction}", instruction),
            after.replace("{instruction}", instruction),
        )

    def prefix(self, llm: Llm, instruction: str, tools: tuple[Tool, ...] = ()) -> list[int]:
        """Token ids that stand before all turns: the LLM's own system message, with what is asked
        about every turn and the functions that may be called in it; none where the preset has a
        template of its own."""
        if self.config.template != AUTO:
            return []
        return llm.ids(self._chat(llm, instruction, tools).system)

    def offering(self, llm: Llm, offer: Offer, tools: tuple[Tool, ...]) -> list[int]:
        """The same with functions of our own, and without what is asked about every turn: it is
        long, and every session begins with it."""
        if self.config.template != AUTO:
            return []
        return llm.ids(chat(llm.tokenizer, offer.system, offer.examples, tools).system)

    @property
    def usual(self) -> str:
        """What is asked about every turn where nobody says anything else."""
        return tasks().get(self.config.default_task, "")

    def turn(self, llm: Llm, instruction: str) -> tuple[list[int], list[int]]:
        """Token ids of a turn before and after what is heard, behind the `prefix`."""
        if self.config.template != AUTO:
            return self.ids(llm, instruction)
        around = self._chat(llm, instruction)
        return llm.ids(around.opening), llm.ids(around.asked)

    def roles(self, llm: Llm, instruction: str) -> Chat | None:
        """How the LLM's own template tells whose text it is; None where the preset has a template
        of its own."""
        return None if self.config.template != AUTO else self._chat(llm, instruction)

    def calls(self, llm: Llm) -> Form | None:
        """How the LLM writes calls of functions; None: it has no template that knows any."""
        own = None if self.config.template != AUTO else form_of(llm.tokenizer)
        return BARE if own and self.config.calls == "bare" else own

    def _chat(self, llm: Llm, instruction: str, tools: tuple[Tool, ...] = ()) -> Chat:
        config = self.config
        examples = config.examples_with_tools if tools else config.examples
        shown = [message for example in examples for message in self._shown(llm, example)]
        own = config.system_with_tools if tools else config.system
        return chat(llm.tokenizer, "\n".join(filter(None, [own, instruction])), shown, tools)

    def _shown(self, llm: Llm, example: ExampleConfig) -> list[Message]:
        user = in_words(example.sounds, example.user) if self.words else example.user
        said = example.assistant
        if example.call is not None:
            form = self.calls(llm) or HERMES
            said = form.written(example.call.name, json.dumps(example.call.arguments))
        return [("user", user), ("assistant", said)]

    def ids(self, llm: Llm, instruction: str) -> tuple[list[int], list[int]]:
        """Token ids before and after the audio; the pieces are tokenised apart, as SALMONN does."""
        if self.config.template == AUTO:
            opening, asked = self.turn(llm, instruction)
            return self.prefix(llm, instruction) + opening, asked
        before, after = self.pieces(instruction)
        bos = llm.tokenizer.bos_token_id
        start = [bos] if self.config.bos and bos is not None else []
        return start + llm.ids(before), llm.ids(after)


@cache
def tasks() -> dict[str, str]:
    """The named tasks, each with the instruction that asks for it (`prompts.yaml`)."""
    loaded: dict[str, str] = yaml.safe_load(
        Path(__file__).parents[1].joinpath("prompts.yaml").read_text(encoding="utf-8")
    )
    return loaded


def instruction(
    text: str | None, task: str | None, question: str | None, default: str = "asr"
) -> str:
    """The instruction to give: `text` itself, or that of a named `task`.

    Args:
        text: free words.
        task: a key of `prompts.yaml`.
        question: fills `{question}` in a task's words.
        default: the task where neither text nor task is given.

    Raises:
        ConfigError: no such task, or it needs a question and got none, or both text and task.
    """
    if text is not None:
        if task is not None:
            raise ConfigError("give an instruction or a task, not both")
        return text
    task = default if task is None else task
    if task not in tasks():
        raise ConfigError(f"unknown task {task!r}; known: {', '.join(tasks())}")
    words = tasks()[task]
    if "{question}" in words and question is None:
        raise ConfigError(f"task {task!r} needs a question")
    return words.replace("{question}", question or "")
