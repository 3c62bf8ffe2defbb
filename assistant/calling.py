"""Functions that replies may call: those that a session declares, and those of one turn."""

from functools import lru_cache

from assistant.errors import ToolError
from assistant.model import Salmonn
from assistant.open_turn import OpenTurn
from assistant.tools.grammar import Grammar, Writing
from assistant.tools.tool import AUTO, Tool, ToolChoice

REMEMBERED = 4
"""Sets of functions that were declared and are not made again."""


class Calling:
    """What a session's replies may call."""

    def __init__(self, model: Salmonn) -> None:
        """`model`: shared weights."""
        self._model = model
        self.tools: tuple[Tool, ...] = ()
        """Of the session."""

        self._choice = AUTO
        self._grammar = lru_cache(REMEMBERED)(self._grammar_of)

    def declare(self, tools: tuple[Tool, ...] | None, choice: ToolChoice | None) -> None:
        """From here on these may be called; None: those that could be.

        Raises:
            ToolError: a tool has a schema that no call can be held to, or the LLM calls none.
        """
        tools, choice = self._instead(tools, choice)
        self._grammar(tools, choice)
        self.tools, self._choice = tools, choice

    def check(self, tools: tuple[Tool, ...] | None, choice: ToolChoice | None) -> None:
        """Raises ToolError where these cannot be called."""
        self._grammar(*self._instead(tools, choice))

    def writing(self, turn: OpenTurn) -> Writing | None:
        """What tells text from calls in the reply to a turn; None: it calls nothing."""
        grammar = self._grammar(*self._instead(turn.tools, turn.choice))
        return None if grammar is None else grammar.start()

    def names(self, turn: OpenTurn) -> tuple[str, ...]:
        """Of the functions that the reply to a turn may call."""
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
        return Grammar(self._model.vocabulary, tools, choice)
