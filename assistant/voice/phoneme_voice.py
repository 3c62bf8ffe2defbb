"""What voices have in common that are models of phonemes: of which sound comes when."""

from abc import ABC, abstractmethod
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.voice.spoken import MARKS, Said, spoken
from assistant.voice.voice import VOICE_RATE, Speech, SpokenWord, VoiceError

UNIT = 600
"""Samples that a phoneme's duration is counted in."""

MOST_PHONEMES = 400
"""That the models were made for; longer clauses are spoken in parts."""

QUIET = 0.02
"""Of the loudest sample; what is less is silence."""

LEAD_S, SENTENCE_S, CLAUSE_S = 0.03, 0.28, 0.12
"""Seconds of silence that stay before speech, after a sentence, and after another clause. Models
make up to half a second of each, and an answer would be heard so much later."""

ENDS = ".!?"

Samples = NDArray[np.float32]


class PhonemeVoice(ABC):
    """A voice whose model takes phonemes in the alphabet of `misaki`; see `Voice`.

    Words are where the model's own durations have them: one for each phoneme, in units of 25 ms.
    """

    def __init__(self, name: str, g2p: Any, vocabulary: dict[str, int]) -> None:
        """Args:
        name: what it is called.
        g2p: makes phonemes of text: that of `hibari-tts`.
        vocabulary: ids of phonemes.
        """
        self.name = name
        """What it is called."""

        self._g2p, self._vocabulary = g2p, vocabulary
        self._g2p("Ready, when you are.")  # its dictionaries are read when first needed

    @abstractmethod
    def _run(self, ids: list[int], speed: float) -> tuple[Samples, NDArray[np.int64]]:
        """Samples of phonemes, and how many units each of these lasts."""

    def speak(self, text: str, speed: float = 1.0) -> Speech:
        """Speak a clause; see `Voice`."""
        units = [said for said in spoken(text) if said.words]
        if not units:
            return Speech(b"", ())
        begins: list[int] = []
        pieces: list[Samples] = []
        made = 0
        for part in self._parts(units):
            samples, at = self._synthesise([phonemes for _, phonemes in part], speed)
            begins += [made + begin for begin in at]
            pieces.append(samples)
            made += len(samples)
        samples, cut = _trimmed(np.concatenate(pieces), units[-1].words)
        ends = [*(unit.end for unit in units[:-1]), len(text)]
        at = [min(max(0, begin - cut), max(0, len(samples) - 1)) for begin in begins]
        words = tuple(map(SpokenWord, at, ends))
        pcm = np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
        return Speech(pcm, words)

    def _parts(self, units: list[Said]) -> list[list[tuple[Said, str]]]:
        """What is said with its phonemes, in parts that are not too long for the model."""
        parts: list[list[tuple[Said, str]]] = [[]]
        length = 0
        for unit, phonemes in zip(units, self._phonemes(units), strict=True):
            if length + len(phonemes) > MOST_PHONEMES and parts[-1]:
                parts.append([])
                length = 0
            parts[-1].append((unit, phonemes[:MOST_PHONEMES]))
            length += len(phonemes) + 1
        return parts

    def _phonemes(self, units: list[Said]) -> list[str]:
        """Phonemes of each unit: those of as many words as it has."""
        words = [""]
        for token in self._tokens(" ".join(unit.words for unit in units)):
            words[-1] += token.phonemes or ""
            if token.whitespace:
                words.append("")
        found, at = [], 0
        for unit in units:
            count = len(unit.words.split())
            found.append(" ".join(words[at : at + count]))
            at += count
        return found

    def _tokens(self, text: str) -> Any:
        return self._g2p.phonemize_tokens(self._g2p.tokenize(text))

    def _synthesise(self, units: list[str], speed: float) -> tuple[Samples, list[int]]:
        """Samples, and the first one of each unit."""
        known = self._vocabulary
        counts, ids = [], [0]
        for number, phonemes in enumerate(units):
            counts.append(len(ids))
            ids += [known[c] for c in (" " if number else "") + phonemes if c in known]
        if len(ids) == 1:
            return np.zeros(0, np.float32), [0] * len(units)
        samples, durations = self._run([*ids, 0], speed)
        sums = [0, *accumulate(int(duration) for duration in durations)]
        return samples, [UNIT * sums[count] for count in counts]


def with_durations(model: Any, where: str) -> tuple[Any, str]:
    """A model with one more output: how long each phoneme is.

    Args:
        model: of ONNX; the first sum over its durations places the phonemes.
        where: it comes from, for the error.

    Returns:
        An ONNX Runtime session, and the output's name.

    Raises:
        VoiceError: there are no durations in it.
    """
    import onnx
    import onnxruntime

    sums = [node.input[0] for node in model.graph.node if node.op_type == "CumSum"]
    if not sums:
        raise VoiceError(f"{where}: not a voice as it is known here: there are no durations in it")
    told = onnx.helper.make_tensor_value_info(sums[0], onnx.TensorProto.INT64, None)
    model.graph.output.append(told)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    made = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return made, sums[0]


def _trimmed(samples: Samples, last: str) -> tuple[Samples, int]:
    """Speech without most of the silence around it, and how many samples were cut before it.

    Args:
        samples: with the silence.
        last: the last words, and their mark.
    """
    loud = np.flatnonzero(np.abs(samples) > QUIET * np.abs(samples).max(initial=0))
    if not len(loud):
        return samples, 0
    goes_on = last[-1] in MARKS and last[-1] not in ENDS
    after = CLAUSE_S if goes_on else SENTENCE_S
    begin = max(0, int(loud[0]) - round(LEAD_S * VOICE_RATE))
    end = int(loud[-1]) + round(after * VOICE_RATE)
    return samples[begin:end], begin
