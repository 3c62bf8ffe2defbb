"""A reply, token by token, and the settings for choosing its tokens."""

import torch

from assistant.config import GenerationConfig
from assistant.llm.llm import Llm, LlmCache


class Reply:
    """A reply that an LLM makes after the prompt in its KV cache."""

    def __init__(
        self, llm: Llm, cache: LlmCache, generation: GenerationConfig, most: int, end: int
    ) -> None:
        """Args:
        llm: shared weights.
        cache: holds the prompt, and receives the tokens.
        generation: how tokens are chosen.
        most: limit of the number of tokens.
        end: positions of the context that have to be left after the last token.
        """
        self._llm, self._cache, self._generation = llm, cache, generation
        self._most, self._end = most, end
        self._text = llm.detokenizer()
        self._random = torch.Generator(llm.device).manual_seed(generation.seed)
        self._done = False
        self.said: list[int] = []
        """The tokens so far."""

        self.cut_short = False
        """Whether it ended at the limit of tokens, or of the LLM's context."""

    def token(self) -> str | None:
        """The text of the next token, which is empty while a character is incomplete; None at the
        end."""
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
    """Change settings of generation. None keeps one as it is; temperature 0 switches sampling
    off."""
    wanted: dict[str, float | None] = {"max_new_tokens": max_new_tokens, "top_p": top_p}
    if temperature is not None:
        wanted |= {"sample": temperature > 0, "temperature": temperature or None}
    changes = {name: value for name, value in wanted.items() if value is not None}
    return generation.model_copy(update=changes)
