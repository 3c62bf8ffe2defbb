"""The whole model: an ear, an LLM, and the prompt that joins them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from assistant.captions.captioner import Captioner
from assistant.captions.decoder import CaptionDecoder
from assistant.config import GenerationConfig, ModelConfig
from assistant.ear.aligner import Aligner
from assistant.ear.ear import Ear
from assistant.ear.hearing import Hearing
from assistant.ear.tagger import Tagger
from assistant.end_of_turn import EndOfTurn
from assistant.llm.adapters import merge_lora, set_lora_scale
from assistant.llm.llm import Llm, LlmCache
from assistant.llm.loading import choose_engine, loads_quantised
from assistant.llm.router import Router
from assistant.memory import trim
from assistant.numerics.half import fast_half, halve_linears
from assistant.parts.build import (
    build_captions,
    build_ear,
    build_end_of_turn,
    build_llm,
    build_router,
    build_tagger,
    device_of,
)
from assistant.parts.checkpoint import checkpoint_path, read_trained
from assistant.prompt.prompt import Prompt, instruction
from assistant.prompt.words import heard
from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples, check
from assistant.tools.form import Form
from assistant.tools.grammar import Vocabulary

TIDY_POSITIONS = 32
"""Positions that are prefilled at a time beside other work. On two cores they take 30 ms with
nano's LLM, and 0.3 s with 1.5 billion weights."""


@dataclass(frozen=True)
class Salmonn:
    """The shared, immutable weights of a model. `ask` is the offline path; `Conversation` is the
    streamed one."""

    config: ModelConfig
    ear: Ear
    llm: Llm
    prompt: Prompt
    leftover: list[str]
    """Keys of the checkpoint that the model has no place for."""

    tagger: Tagger | None = None
    """The preset's sound tagger, if it has one."""

    router: Router | None = None
    """Tells for what tools of our own are needed; None: the LLM reads of them in every turn."""

    end_of_turn: EndOfTurn | None = None
    """Judges ends of turns, if the preset has something that does."""

    @cached_property
    def captions(self) -> CaptionDecoder:
        """Whisper's decoder, which is loaded when it is first needed.

        Raises:
            ComponentError: the preset's Whisper weights have no decoder.
        """
        made = build_captions(self.config, self.ear)
        trim()
        return made

    @cached_property
    def vocabulary(self) -> Vocabulary | None:
        """The LLM's tokens as calls of functions are held to; made when first needed, which takes
        seconds. None: it calls none."""
        if self.calls is None:
            return None
        llm = self.llm
        made = Vocabulary(llm.tokenizer, llm.vocabulary, llm.stop_ids, self.calls)
        trim()
        return made

    @property
    def reads_words(self) -> bool:
        """Whether the LLM is given what was heard in words, not as audio tokens."""
        return self.config.reads == "words"

    @cached_property
    def calls(self) -> Form | None:
        """How the LLM writes calls of functions; None: it hears audio tokens, or its template knows
        no calls."""
        return self.prompt.calls(self.llm) if self.reads_words else None

    @cached_property
    def standing(self) -> tuple[str, LlmCache] | None:
        """The instruction of the preset's default task, and a KV cache to be copied that holds the
        prefix of the prompt under it; None if there is no prefix."""
        words = instruction(None, None, None, self.config.prompt.default_task)
        ids = self.prompt.prefix(self.llm, words)
        if not ids:
            return None
        return words, self.llm.begun(ids, TIDY_POSITIONS)

    @cached_property
    def _begun(self) -> dict[tuple[int, ...], LlmCache]:
        return {}

    def begun(self, ids: tuple[int, ...]) -> LlmCache:
        """A KV cache that holds a beginning of the prompt, which sessions share; to be copied. It
        is made when it is first asked for, which takes a while."""
        if ids not in self._begun:
            self._begun[ids] = self.llm.begun([*ids], TIDY_POSITIONS)
        return self._begun[ids]

    @torch.inference_mode()
    def ask(
        self, samples: Samples, instruction: str, generation: GenerationConfig | None = None
    ) -> Iterator[str]:
        """Answer a question about a whole recording, which is encoded first.

        Args:
            samples: shape (n,), 16 kHz.
            instruction: the question, or the task.
            generation: replaces the preset's settings.

        Yields:
            Pieces of the answer's text; with beam search, all of it in one piece.

        Raises:
            AudioError: the samples are not finite, or there are none.
            ContextFullError: the recording is too long for the LLM's context.
        """
        generation = generation or self.config.generation
        samples = check(samples)
        if self.reads_words:
            given = [self._read(torch.from_numpy(samples), instruction)]
            instruction = ""
        else:
            given = self._hear(torch.from_numpy(samples))
        before, after = self.prompt.ids(self.llm, instruction)
        embeds = torch.cat([self.llm.embed(before), *given, self.llm.embed(after)])
        detokenizer = self.llm.detokenizer()
        if generation.beams > 1:
            best = self.llm.beam_search(embeds, generation)
            yield "".join(map(detokenizer.push, best)) + detokenizer.flush()
            return
        cache = self.llm.cache()
        cache.extend(embeds)
        for token in cache.tokens(generation):
            if text := detokenizer.push(token):
                yield text
        if text := detokenizer.flush():
            yield text

    def _hear(self, samples: Tensor) -> list[Tensor]:
        """Audio tokens and, with a second ear, the embeddings of a transcript.

        In cached mode the recording is heard like a stream: block by block, since products of other
        shapes round otherwise in bf16, and without silent blocks.
        """
        if self.config.encoding.mode != "cached":
            return [self.llm.take(self.ear.hear(samples))]
        hearing = Hearing(self.ear)
        windows = hearing.push(samples) + hearing.peek()
        tokens = [self.llm.take(window.tokens) for window in windows]
        if not self.config.aligner.transcript:
            return tokens
        captioner = Captioner(self.captions)
        captioner.hear(windows)
        return [*tokens, self.transcript(captioner.peek([]))]

    def _read(self, samples: Tensor, instruction: str) -> Tensor:
        """Embeddings of the prompt, with the recording in words and the question about it."""
        hearing = Hearing(self.ear, len(samples) / SAMPLE_RATE, tagger=self.tagger)
        captioner = Captioner(self.captions)
        captioner.hear(hearing.push(samples))
        transcript = captioner.peek(hearing.peek())
        text = heard(hearing.peeked, hearing.heard, transcript, instruction)
        return self.llm.embed(self.llm.ids(text))

    def transcript(self, text: str) -> Tensor:
        """Embeddings (n, width) of a transcript by Whisper's decoder, which follows the audio
        tokens."""
        return self.llm.embed(self.llm.ids(f"\n{text.strip()}") if text.strip() else [])


def load(config: ModelConfig) -> Salmonn:
    """Build the model of a preset with all its weights.

    Raises:
        AssistantError: a part is missing or does not fit; the message says which, and what to do.
    """
    lora = config.llm.lora if config.checkpoint is not None else None
    llm = build_llm(config, train=lora is not None)
    ear = build_ear(config, llm.width)
    leftover: list[str] = []
    if config.checkpoint is not None:
        path = checkpoint_path(config.checkpoint)
        assert isinstance(ear.aligner, Aligner), "reads: words has no checkpoint"
        adapters = llm.model if lora is not None else None
        leftover = read_trained(path).fill(ear.aligner, adapters, str(path))
    base = llm.model
    if lora is not None:
        if lora.scale is not None:
            set_lora_scale(base, lora.scale)
        if not loads_quantised(config.llm, device_of(config)):  # those would round the sum away
            base = merge_lora(base)
    base.eval()  # adapters kept beside quantised weights come in training mode
    llm = llm.over(base, choose_engine(base, config.llm))
    ear.requires_grad_(False).to(device_of(config))
    if config.encoding.dtype == "bfloat16" and device_of(config) == "cpu" and fast_half():
        halve_linears(ear)
    tagger, judge = build_tagger(config, ear), build_end_of_turn(config, ear)
    words = config.reads == "words"
    prompt, router = Prompt(config.prompt, words), build_router(config, llm)
    model = Salmonn(config, ear.eval(), llm, prompt, leftover, tagger, router, judge)
    if words:
        _ = model.standing  # so that no session waits for it
    trim()
    return model
