"""Functions that replies may call: our own, those that a session declares, and those of one turn.

A client's functions stand alone: a session offers our own until its client declares some.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from assistant.errors import ToolError
from assistant.llm.llm import LlmCache
from assistant.llm.router import Router
from assistant.model import Salmonn
from assistant.open_turn import OpenTurn
from assistant.own_tools import OwnTools
from assistant.prompt.items import Called, Item, Offer
from assistant.tools.grammar import Grammar, Writing
from assistant.tools.tool import AUTO, Tool, ToolChoice

OWN_TOGETHER = 3
"""Calls of our own functions in one reply, at most: two timers may be asked for in one sentence."""

REMEMBERED = 4
"""Sets of functions that were declared and are not made again."""


class Calling:
    """What a session's replies may call."""

    def __init__(self, model: Salmonn, own: OwnTools | None = None) -> None:
        """Args:
        model: shared weights.
        own: our own; None: none are offered.
        """
        self._model, self._own = model, own
        self._declared: tuple[Tool, ...] = ()
        self._choice = AUTO
        self._grammar = lru_cache(REMEMBERED)(self._grammar_of)

    @property
    def tools(self) -> tuple[Tool, ...]:
        """Of the session."""
        own = () if self._own is None else self._own.tools
        return self._declared or own

    @property
    def offer(self) -> Offer | None:
        """How they are shown, where they are our own."""
        return None if self._declared or self._own is None else self._own.offer

    @property
    def router(self) -> Router | None:
        """Tells when our own are needed; None: the LLM reads in every turn of what it may call."""
        return None if self._declared or self._own is None else self._model.router

    @property
    def shown(self) -> tuple[tuple[Tool, ...], Offer | None]:
        """What the LLM reads of in every turn: functions, and how they are shown."""
        return (self.tools, self.offer) if self.router is None else ((), None)

    def needed(self, turn: OpenTurn, read: LlmCache) -> tuple[Tool, ...]:
        """What the LLM has to read of before it replies: our own functions, where a router calls
        for them, and always a user's, which no router knows.

        Args:
            turn: that is asked about.
            read: what the LLM has read, up to where the reply would begin.
        """
        router, choice = self.router, turn.choice or self._choice
        if router is None or self._own is None or choice.mode == "none":
            return ()
        if choice.mode != "auto" or router.calls(read.last):
            return self.tools
        return tuple(tool for tool in self.tools if tool.name in self._own.users)

    def reads(self, turn: OpenTurn, answer: Sequence[Item]) -> bool:
        """Whether the LLM reads what came of calls that no tool has put into words. Where a router
        calls for our own tools, one of them could make nothing of its call then, and the turn is
        answered without it.

        Args:
            turn: in which they were made.
            answer: its calls.
        """
        if self.router is None or self._own is None or turn.tools is not None:
            return True
        users = self._own.users
        return any(item.call.name in users for item in answer if isinstance(item, Called))

    def runs(self, turn: OpenTurn, name: str) -> OwnTools | None:
        """Who runs a function that a turn's reply calls; None: whoever declared it."""
        ours = self.offer is not None and turn.tools is None
        return self._own if ours and name in {tool.name for tool in self.tools} else None

    def whose(self, turn: OpenTurn, name: str) -> Literal["client", "session", "shell"]:
        """Who runs a function that a turn's reply calls."""
        own = self.runs(turn, name)
        if own is None:
            return "client"
        return "shell" if own.is_shells(name) else "session"

    def only_ours(self, turn: OpenTurn) -> bool:
        """Whether a turn's reply may call no functions but our own."""
        users = frozenset() if self._own is None else self._own.users
        names = self.names(turn)
        return all(self.runs(turn, name) is not None and name not in users for name in names)

    def declare(self, tools: tuple[Tool, ...] | None, choice: ToolChoice | None) -> None:
        """From here on these may be called; None: those that could be.

        Raises:
            ToolError: a tool has a schema that no call can be held to, or the LLM calls none.
        """
        declared = self._declared if tools is None else tools
        choice = choice or self._choice
        self._grammar(declared or self._instead(None, None)[0], choice)
        self._declared, self._choice = declared, choice

    def check(self, tools: tuple[Tool, ...] | None, choice: ToolChoice | None) -> None:
        """Raises ToolError where these cannot be called."""
        self._grammar(*self._instead(tools, choice))

    def writing(self, turn: OpenTurn) -> Writing | None:
        """What tells text from calls in the reply to a turn; None: it calls nothing."""
        grammar = self._grammar(*self._instead(turn.tools, turn.choice))
        return None if grammar is None else grammar.start()

    def begins(self, turn: OpenTurn, tools: tuple[Tool, ...], read: LlmCache) -> Writing | None:
        """What tells text from calls in a reply that begins with a call; None: it begins with text.

        Args:
            turn: that is asked about.
            tools: that may be called.
            read: what the LLM has read, up to where the reply begins.
        """
        grammar = self._grammar(tools, turn.choice or self._choice)
        if grammar is None:
            return None
        writing = grammar.start()
        mask, logits = writing.mask(), read.logits()
        if mask is not None:
            logits = logits.masked_fill(~mask.to(logits.device), float("-inf"))
        writing.push([int(logits.argmax())])
        return grammar.start() if writing.inside else None

    def telling(self) -> Writing | None:
        """The same in a reply that makes no call."""
        grammar = self._grammar(self.tools, ToolChoice("none"))
        return None if grammar is None else grammar.start()

    def names(self, turn: OpenTurn) -> tuple[str, ...]:
        """Of the functions that the reply to a turn may call."""
        if turn.is_notice:
            return ()
        tools, choice = self._instead(turn.tools, turn.choice)
        return tuple(tool.name for tool in choice.among(tools))

    def _instead(
        self, tools: tuple[Tool, ...] | None, choice: ToolChoice | None
    ) -> tuple[tuple[Tool, ...], ToolChoice]:
        return self.tools if tools is None else tools, choice or self._choice

    def _grammar_of(self, tools: tuple[Tool, ...], choice: ToolChoice) -> Grammar | None:
        if not tools:
            choice.among(tools)
            return None
        if self._model.vocabulary is None:
            raise ToolError("tools", "this preset's LLM calls no functions")
        own = self._own is not None and set(tools) <= set(self._own.tools)
        return Grammar(self._model.vocabulary, tools, choice, OWN_TOGETHER if own else None)
