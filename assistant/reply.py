"""A reply, token by token, and the settings for choosing its tokens."""

import torch
from torch import Tensor

from assistant.config import GenerationConfig
from assistant.llm.llm import Llm, LlmCache
from assistant.prompt.items import Called, Item, Said
from assistant.tools.grammar import Writing
from assistant.tools.tool import ToolCall

LEAST_MEANT = 0.02
"""Probability of the names of all functions that may be called, as the LLM alone would have it,
under which it means another one."""


class Reply:
    """A reply that an LLM makes after the prompt in its KV cache."""

    def __init__(
        self,
        llm: Llm,
        cache: LlmCache,
        generation: GenerationConfig,
        most: int,
        end: int,
        writing: Writing | None = None,
    ) -> None:
        """Args:
        llm: shared weights.
        cache: holds the prompt, and receives the tokens.
        generation: how tokens are chosen.
        most: limit of the number of tokens.
        end: positions of the context that have to be left after the last token.
        writing: tells text from calls of functions; None: there are none.
        """
        self._llm, self._cache, self._generation = llm, cache, generation
        self._most, self._end, self._writing = most, end, writing
        self._text = llm.detokenizer()
        self._random = torch.Generator(llm.device).manual_seed(generation.seed)
        self._done = False
        self._start = cache.mark()
        self._may_begin_anew = False  # it begins with a call that the LLM chose to make
        self._made = 0  # tokens
        self._meant = 1.0  # probability of all names that the call may have
        self._blank: list[int] = []  # white space that text or a call may follow
        self._steps: list[tuple[list[int], ToolCall | None]] = []  # text and calls, token by token
        self.cut_short = False
        """Whether it ended at the limit of tokens, or of the LLM's context."""

    @property
    def steps(self) -> int:
        """Tokens that it gave, and calls."""
        return len(self._steps)

    @property
    def said(self) -> list[int]:
        """The tokens of its text."""
        return [token for tokens, _ in self._steps for token in tokens]

    def items(self, turn: int, given: int | None) -> list[Item]:
        """What stays of it.

        Args:
            turn: that it belongs to.
            given: tokens that were given out; None: all.
        """
        steps = self._steps[:given]
        calls = [call for _, call in steps if call is not None]
        text = tuple(token for tokens, _ in steps for token in tokens)
        said = [Said(turn, text)] if text or not calls else []
        return [*said, *(Called(call.id, call) for call in calls)]

    def token(self, turn: int = 0) -> str | ToolCall | None:
        """The text of the next token, empty while a character or a call is incomplete; the call
        that it completes; None: no more.

        Args:
            turn: that it belongs to; names its calls.
        """
        if self._done:
            return None
        if self._writing is not None and self._writing.over:
            return self._finish()
        if not self._room:
            self.cut_short = True
            return self._finish()
        mask = None if self._writing is None else self._writing.mask()
        if self._calls_another(mask):
            return ""
        token = self._cache.next_token(self._generation, self._random, mask)
        if token in self._llm.stop_ids:
            return self._finish()
        self._made += 1
        if self._writing is None:
            self._steps.append(([token], None))
            return self._text.push(token)
        return self._written(self._writing, token, turn)

    @property
    def _room(self) -> int:
        """Tokens that it may still have."""
        limit, left = self._llm.context, self._most - self._made
        if limit is None:
            return max(0, left)
        return max(0, min(left, limit - self._end - self._cache.length))

    def _calls_another(self, mask: Tensor | None) -> bool:
        """Whether the LLM would call a function that it may not: the reply is begun anew then, as
        text, since the mask alone would make it call one that does something else."""
        writing = self._writing
        if writing is None or not self._may_begin_anew or mask is None or not writing.naming:
            return False
        self._meant *= self._cache.share(mask)
        if self._meant >= LEAST_MEANT:
            return False
        self._cache.back(self._start)
        self._writing, self._may_begin_anew = writing.anew(), False
        self._steps.append(([], None))
        return True

    def _written(self, writing: Writing, token: int, turn: int) -> str | ToolCall | None:
        made = len(writing.calls)
        text = self._certain(writing.push([token]))
        if writing.inside and not writing.must and self._made == 1:
            self._may_begin_anew = True
        self._spell(writing)
        if len(writing.calls) > made:
            if writing.calls[made] in writing.calls[:made]:
                return self._finish()  # small LLMs repeat themselves: once is what was meant
            name, arguments = writing.calls[made]
            call = ToolCall(f"call_{turn}_{made}", name, arguments)
            self._steps.append((text, call))
            return call
        self._steps.append((text, None))
        return "".join(map(self._text.push, text))

    def _spell(self, writing: Writing) -> None:
        """Append what comes next in a call whatever the LLM says, without asking it: one pass for
        all of it. Where the LLM may mean another function, it says the name itself."""
        if not writing.inside or writing.over:
            return
        for token in writing.spelled()[: self._room]:
            if self._may_begin_anew and writing.naming:
                return
            self._cache.force([token])
            writing.push([token])
            self._made += 1

    def _certain(self, tokens: list[int]) -> list[int]:
        """Text; white space only when other text follows it, since calls come after some."""
        tokens = [*self._blank, *tokens]
        blank = not self._llm.tokenizer.decode(tokens).strip()
        self._blank = tokens if blank else []
        return [] if blank else tokens

    def _finish(self) -> str | None:
        """The end, with text that waited for what would follow it."""
        self._done = True
        held = [] if self._writing is None else self._certain(self._writing.flush())
        if held:
            self._steps.append((held, None))
        return ("".join(map(self._text.push, held)) + self._text.flush()) or None


class Recited:
    """A reply whose words are given: no LLM makes them, and none of it takes long."""

    cut_short = False
    """It has no limit."""

    def __init__(self, llm: Llm, text: str) -> None:
        """`text`: what is said."""
        self._ids, self._text = llm.ids(text), llm.detokenizer()
        self._made = 0

    @property
    def steps(self) -> int:
        """Tokens that it gave, and calls."""
        return self._made

    def items(self, turn: int, given: int | None) -> list[Item]:
        """See `Reply.items`."""
        made = self._made if given is None else given
        return [Said(turn, tuple(self._ids[:made]))]

    def token(self, turn: int = 0) -> str | ToolCall | None:
        """See `Reply.token`."""
        if self._made >= len(self._ids):
            return self._text.flush() or None
        self._made += 1
        return self._text.push(self._ids[self._made - 1])


def drawn(
    generation: GenerationConfig,
    max_new_tokens: int | None,
    temperature: float | None,
    top_p: float | None,
) -> GenerationConfig:
    """Change settings of generation. None keeps one as it is; temperature 0 switches sampling
    off."""
    wanted: dict[str, float | None] = {"max_new_tokens": max_new_tokens, "top_p": top_p}
    if temperature is not None:
        wanted |= {"sample": temperature > 0, "temperature": temperature or None}
    changes = {name: value for name, value in wanted.items() if value is not None}
    return generation.model_copy(update=changes)
