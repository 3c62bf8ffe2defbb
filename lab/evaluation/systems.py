"""What is compared: the model offline and streamed, what it reads, and baselines of its parts."""

from typing import Protocol

import numpy as np
import torch
import whisper

from assistant.config import GenerationConfig
from assistant.conversation import Conversation
from assistant.encoders.whisper import WhisperWeights
from assistant.llm.llm import Llm
from assistant.model import Salmonn
from assistant.prompt.prompt import Prompt
from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples
from assistant.sound.spectra import clip_mel
from lab.manifest import Row

CHUNK = SAMPLE_RATE // 50
"""Samples that arrive at once: 20 ms."""


class System(Protocol):
    """Something that answers."""

    name: str

    def answer(self, row: Row, samples: Samples, instruction: str) -> str:
        """The answer to a recording."""


class Offline:
    """The model, given the whole recording at once."""

    name = "offline"

    def __init__(self, model: Salmonn, generation: GenerationConfig) -> None:
        self._model, self._generation = model, generation

    def answer(self, row: Row, samples: Samples, instruction: str) -> str:
        """As `salmonn-live ask` does."""
        return "".join(self._model.ask(samples, instruction, self._generation))


class Streamed:
    """The model, hearing 20 ms at a time: encoded and prefilled as the sound arrives."""

    name = "streamed"

    def __init__(self, model: Salmonn, generation: GenerationConfig) -> None:
        self._model, self._generation = model, generation

    def answer(self, row: Row, samples: Samples, instruction: str) -> str:
        """As a live session does, without endpointing: the whole recording is heard."""
        talk = Conversation(self._model, instruction, self._generation)
        talk.open(since=0, spoken_from=0)
        for start in range(0, len(samples), CHUNK):
            if talk.hear(samples[start : start + CHUNK]):
                talk.prefill()
        talk.pause()
        talk.ask()
        return "".join(text for text in iter(talk.token, None) if isinstance(text, str))


class Captioned:
    """What the model reads of what is said, without its LLM: Whisper's decoder on encodings of
    blocks."""

    name = "captions"

    def __init__(self, model: Salmonn) -> None:
        """`model`: of a preset whose Whisper has its decoder."""
        self._model = model

    def answer(self, row: Row, samples: Samples, instruction: str) -> str:
        """The transcript at the end of a recording that was heard 20 ms at a time, as an LLM that
        reads words is given it at a pause."""
        talk = Conversation(self._model, instruction, captions=True)
        talk.open(since=0, spoken_from=0)
        for start in range(0, len(samples), CHUNK):
            talk.hear(samples[start : start + CHUNK])
        talk.pause()
        read = talk.caption(last=True)
        assert read is not None, "captions were asked for"
        return "".join(read).strip()


class Transcriber:
    """Whisper's own decoder: 30 s windows with full attention, greedy."""

    name = "Whisper"

    def __init__(self, weights: WhisperWeights) -> None:
        """`weights` with the decoder's."""
        self._n_mels = weights.dims.n_mels
        self._model = whisper.Whisper(weights.dims).eval()
        state = {k: v.float() for k, v in weights.state.items()}
        self._model.load_state_dict(state, strict=False)
        self._options = whisper.DecodingOptions(language="en", without_timestamps=True, fp16=False)
        self._heard: Samples | None = None
        self._text = ""

    def answer(self, row: Row, samples: Samples, instruction: str) -> str:
        """What is said in it."""
        # Several rows ask about one recording, and several recordings may have one name.
        if self._heard is None or not np.array_equal(self._heard, samples):
            mel = clip_mel(torch.from_numpy(samples), self._n_mels)
            self._text = str(whisper.decode(self._model, mel, self._options).text).strip()
            self._heard = samples
        return self._text


class TextOracle:
    """The LLM given what is said as text: what hearing perfectly would bring."""

    name = "text oracle"

    def __init__(self, llm: Llm, prompt: Prompt, generation: GenerationConfig) -> None:
        """`llm` with the adapters or without."""
        self._llm, self._prompt, self._generation = llm, prompt, generation

    def answer(self, row: Row, samples: Samples, instruction: str) -> str:
        """Answer the manifest's text."""
        return self.reply(row.text, instruction)

    def reply(self, text: str, instruction: str) -> str:
        """The LLM's answer where `text` stands in the place of the audio tokens."""
        llm = self._llm
        before, after = self._prompt.ids(llm, instruction)
        cache = llm.cache()
        cache.extend(llm.embed(before + llm.ids(text) + after))
        return str(llm.tokenizer.decode(list(cache.tokens(self._generation))))


class Cascade:
    """Whisper's transcript, then the same LLM."""

    def __init__(self, name: str, transcriber: Transcriber, oracle: TextOracle) -> None:
        """`oracle` answers texts: with the adapters or without."""
        self.name = name
        self._transcriber, self._oracle = transcriber, oracle

    def answer(self, row: Row, samples: Samples, instruction: str) -> str:
        """Answer what Whisper reads, written as the adapters were trained on text."""
        text = self._transcriber.answer(row, samples, instruction)
        return self._oracle.reply(text, instruction)
