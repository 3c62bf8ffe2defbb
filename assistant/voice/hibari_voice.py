"""The voices of `hibari-tts`: small ONNX models of American and British English."""

import numpy as np
from numpy.typing import NDArray

from assistant.voice.phoneme_voice import PhonemeVoice, Samples, with_durations


class HibariVoice(PhonemeVoice):
    """A voice of `hibari-tts`; see `Voice`."""

    def __init__(self, name: str) -> None:
        """`name`: one that is there; see `assistant.voice.choose.names`.

        Raises:
            VoiceError: this version of `hibari-tts` does not tell durations.
        """
        import hibari
        import onnx
        from hibari.voices import voice_path

        made = hibari.Hibari(voice=name)
        path = voice_path(name, False)
        self._session, _ = with_durations(onnx.load(path), path)
        super().__init__(name, made.g2p, made.vocab)

    def _run(self, ids: list[int], speed: float) -> tuple[Samples, NDArray[np.int64]]:
        from hibari import dsp

        given = {"ids": np.array([ids]), "speed": np.array([speed], np.float32)}
        *spectra, durations = self._session.run(None, given)
        # noise is part of a voice; the same one each time
        samples: Samples = dsp.synth(*(one[0] for one in spectra), np.random.default_rng(0))
        return samples, durations.reshape(-1)
