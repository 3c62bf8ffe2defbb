"""SALMONN put together: an ear, an LLM, and the prompt between them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from assistant.captions.captioner import Captioner
from assistant.captions.decoder import CaptionDecoder
from assistant.config import AUTO, GenerationConfig, ModelConfig
from assistant.ear.aligner import Aligner
from assistant.ear.ear import Ear
from assistant.ear.hearing import Hearing
from assistant.ear.tagger import Tagger
from assistant.llm.adapters import merge_lora, set_lora_scale
from assistant.llm.llm import Llm, LlmCache
from assistant.llm.loading import choose_engine, loads_quantised
from assistant.numerics.half import fast_half, halve_linears
from assistant.parts.build import build_captions, build_ear, build_llm, build_tagger, device_of
from assistant.parts.checkpoint import checkpoint_path, read_trained
from assistant.prompt.prompt import Prompt, instruction
from assistant.prompt.words import heard
from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples, check
from assistant.tools.form import Form, form_of
from assistant.tools.grammar import Vocabulary

TIDY_POSITIONS = 32
"""Positions put into a cache at a time when it is filled beside other work: on two cores some 30 ms
of nano's LLM, 0.3 s of one with 1.5 billion weights."""


@dataclass(frozen=True)
class Salmonn:
    """Shared, immutable weights. `ask` is the offline path; `Conversation` the streamed one."""

    config: ModelConfig
    ear: Ear
    llm: Llm
    prompt: Prompt
    leftover: list[str]
    """Keys of the checkpoint that found no place."""

    tagger: Tagger | None = None
    """Names sounds, where the preset has one."""

    @cached_property
    def captions(self) -> CaptionDecoder:
        """Whisper's decoder; loaded when it is first needed.

        Raises:
            ComponentError: the preset's Whisper weights have none.
        """
        return build_captions(self.config, self.ear)

    @cached_property
    def vocabulary(self) -> Vocabulary | None:
        """The LLM's tokens as calls of functions are held to; made when first needed, which takes
        seconds. None: it calls none."""
        if self.calls is None:
            return None
        return Vocabulary(self.llm.tokenizer, self.llm.vocabulary, self.llm.stop_ids, self.calls)

    @cached_property
    def calls(self) -> Form | None:
        """How the LLM writes calls of functions; None: it hears audio tokens, or its template knows
        no calls."""
        own = self.config.reads == "words" and self.config.prompt.template == AUTO
        return form_of(self.llm.tokenizer) if own else None

    @cached_property
    def standing(self) -> tuple[str, LlmCache] | None:
        """The instruction of the preset's default task, and a cache, to be copied, that holds what
        stands before all turns under it; None where nothing does."""
        words = instruction(None, None, None, self.config.prompt.default_task)
        ids = self.prompt.prefix(self.llm, words)
        if not ids:
            return None
        return words, self.llm.begun(ids, TIDY_POSITIONS)

    @torch.inference_mode()
    def ask(
        self, samples: Samples, instruction: str, generation: GenerationConfig | None = None
    ) -> Iterator[str]:
        """Answer about a whole recording, encoding it all first.

        Args:
            samples: shape (n,), 16 kHz.
            instruction: what to do.
            generation: replaces the preset's.

        Yields:
            Pieces of the answer's text; one piece when more than one beam is searched.

        Raises:
            AudioError: not finite, or empty.
            ContextFullError: longer than the LLM's context holds.
        """
        generation = generation or self.config.generation
        samples = check(samples)
        if self.config.reads == "words":
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
        """Audio tokens, and with a second ear the embeddings of a transcript.

        In cached mode as a stream is heard: block by block, since in bf16 products of other shapes
        round otherwise, and without blocks of silence.
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
        """Embeddings of what is heard, in words, with what is asked about it."""
        hearing = Hearing(self.ear, len(samples) / SAMPLE_RATE, tagger=self.tagger)
        captioner = Captioner(self.captions)
        captioner.hear(hearing.push(samples))
        transcript = captioner.peek(hearing.peek())
        text = heard(hearing.peeked, hearing.heard, transcript, instruction)
        return self.llm.embed(self.llm.ids(text))

    def transcript(self, text: str) -> Tensor:
        """Embeddings (n, width) of what Whisper's decoder reads, as they follow audio tokens."""
        return self.llm.embed(self.llm.ids(f"\n{text.strip()}") if text.strip() else [])


def load(config: ModelConfig) -> Salmonn:
    """Build the model of a preset with all its weights.

    Raises:
        AssistantError: a part is missing or does not fit; the message says which and what to do.
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
    tagger = build_tagger(config, ear)
    words = config.reads == "words"
    model = Salmonn(config, ear.eval(), llm, Prompt(config.prompt, words), leftover, tagger)
    if words:
        _ = model.standing  # so that no session waits for it
    return model
