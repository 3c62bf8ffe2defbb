"""A reply, token by token, and how its tokens are drawn."""

import torch

from assistant.config import GenerationConfig
from assistant.llm.llm import Llm, LlmCache


class Reply:
    """What an LLM says after what is in its cache."""

    def __init__(
        self, llm: Llm, cache: LlmCache, generation: GenerationConfig, most: int, end: int
    ) -> None:
        """Args:
        llm: shared weights.
        cache: holds the prompt; takes the tokens.
        generation: how they are drawn.
        most: of them.
        end: positions that have to be left after the last one.
        """
        self._llm, self._cache, self._generation = llm, cache, generation
        self._most, self._end = most, end
        self._text = llm.detokenizer()
        self._random = torch.Generator(llm.device).manual_seed(generation.seed)
        self._done = False
        self.said: list[int] = []
        """Its tokens."""

        self.cut_short = False
        """It ended at its limit, or at that of the LLM's context."""

    def token(self) -> str | None:
        """The text of the next token, empty while a character is incomplete; None: no more."""
        if self._done:
            return None
        limit = self._llm.context
        full = limit is not None and self._cache.length + self._end >= limit
        if full or len(self.said) >= self._most:
            self._done = self.cut_short = True
            return self._text.flush() or None
        token = self._cache.next_token(self._generation, self._random)
        if token in self._llm.stop_ids:
            self._done = True
            return self._text.flush() or None
        self.said.append(token)
        return self._text.push(token)


def drawn(
    generation: GenerationConfig,
    max_new_tokens: int | None,
    temperature: float | None,
    top_p: float | None,
) -> GenerationConfig:
    """Other settings of generation; None leaves one as it is, temperature 0 samples nothing."""
    wanted: dict[str, float | None] = {"max_new_tokens": max_new_tokens, "top_p": top_p}
    if temperature is not None:
        wanted |= {"sample": temperature > 0, "temperature": temperature or None}
    changes = {name: value for name, value in wanted.items() if value is not None}
    return generation.model_copy(update=changes)
