"""One session's side of the model: an ear stream feeding a KV cache while sound arrives."""

from collections.abc import Iterator

import torch
from torch import Tensor

from assistant.audio import Samples
from assistant.config import GenerationConfig
from assistant.model import Salmonn


class Conversation:
    """Hears utterances and answers each; weights are the shared `Salmonn`'s.

    The prompt before the audio is in the cache from the start. Audio tokens follow as they become
    final, so at the end of speech only the last windows and the prompt's tail are missing.
    """

    def __init__(
        self, model: Salmonn, instruction: str, generation: GenerationConfig | None = None
    ) -> None:
        """Args:
        model: shared weights.
        instruction: what is asked about every utterance.
        generation: replaces the preset's; beams are not searched, since a streamed answer
            cannot take words back.
        """
        self._llm = model.llm
        self._generation = generation or model.config.generation
        self._stream = model.ear.stream()
        self._cache = model.llm.cache()
        before, self._after = model.prompt.ids(model.llm, instruction)
        self._cache.extend(model.llm.embed(before))
        self._base = self._cache.length
        self._waiting: list[Tensor] = []
        self._audio_tokens = 0

    def hear(self, samples: Samples) -> int:
        """Take samples of the utterance and encode the blocks they complete.

        Returns:
            Audio tokens waiting to be prefilled.
        """
        return self._wait(self._stream.push(torch.from_numpy(samples)))

    def finish(self) -> int:
        """The utterance is over: encode the open block.

        Returns:
            Audio tokens waiting to be prefilled.
        """
        return self._wait(self._stream.flush())

    def prefill(self) -> int:
        """Put the waiting audio tokens into the KV cache.

        Returns:
            Audio tokens of this utterance in it now.

        Raises:
            ContextFullError: the LLM's context is full.
        """
        self._prefill([])
        return self._audio_tokens

    def ask(self) -> int:
        """Prefill what waits and the prompt's tail: the next thing is the first token.

        Returns:
            Audio tokens of this utterance.

        Raises:
            ContextFullError: the LLM's context is full.
        """
        self._prefill([self._llm.embed(self._after)])
        return self._audio_tokens

    def reply(self) -> Iterator[str]:
        """Answer what was heard; afterwards the conversation is ready for the next utterance.

        Yields:
            Text per token, empty while a character is incomplete.
        """
        detokenizer = self._llm.detokenizer()
        for token in self._cache.tokens(self._generation):
            yield detokenizer.push(token)
        if text := detokenizer.flush():
            yield text
        self._cache.truncate(self._base)
        self._audio_tokens = 0

    def _prefill(self, tail: list[Tensor]) -> None:
        """Waiting tokens and `tail` in one pass, which costs much the same for few and for many."""
        parts = [self._llm.take(tokens) for tokens in [*self._waiting, *tail]]
        if parts:
            self._cache.extend(torch.cat(parts))
        self._audio_tokens += sum(map(len, self._waiting))
        self._waiting.clear()

    def _wait(self, tokens: Tensor) -> int:
        if len(tokens):
            self._waiting.append(tokens)
        return sum(map(len, self._waiting))
