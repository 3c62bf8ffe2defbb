"""What a conversation hears: the stream, the sounds named in it, and who reads what is said."""

import torch
from torch import Tensor

from assistant.captions.captioner import Captioner
from assistant.ear.hearing import Hearing, Window
from assistant.ear.tagger import Tagger
from assistant.end_of_turn import signs
from assistant.errors import ComponentError, ConfigError
from assistant.model import Salmonn
from assistant.open_turn import FirstUtterance, OpenTurn
from assistant.rates import FEATURE_SAMPLES, SAMPLE_RATE
from assistant.sound.recording import Samples

SHORT = round(1.4 * SAMPLE_RATE)
"""Samples of a short utterance, and its pause: "okay, thanks" takes one second."""


class Listening:
    """One stream, and what of it is told beside the LLM's replies."""

    def __init__(
        self,
        model: Salmonn,
        captions: bool,
        ring_s: float,
        silence_db: float,
        sound_events: bool,
    ) -> None:
        """Args:
        model: shared weights.
        captions: read what is said, too.
        ring_s: seconds of what was heard that are kept.
        silence_db: see `Hearing`.
        sound_events: name sounds as they begin.

        Raises:
            ConfigError: the preset has no `sound_tagger` to name them with.
        """
        self._model = model
        self._words = model.reads_words
        self._events, self.shown = sound_events, captions
        self.hearing = Hearing(model.ear, ring_s, silence_db, self._tagger(sound_events))
        self.reads = self._words or model.config.aligner.transcript
        """The LLM is given what was said as text."""

        self._captions = model.captions if captions or self.reads else None
        self._utterance = FirstUtterance()

    def _tagger(self, events: bool) -> Tagger | None:
        """An LLM that reads words is told of sounds whether a client is or not."""
        if events and self._model.tagger is None:
            raise ConfigError("turns.sound_events: the preset has no sound_tagger")
        return self._model.tagger if events or self._words else None

    def hear(self, samples: Samples) -> list[Window]:
        """Take samples of the stream; the windows that became final."""
        return self.hearing.push(torch.from_numpy(samples))

    def sounds(self) -> list[tuple[int, int, str, float]]:
        """Sounds that began in what `hear` was given last, where a client is told of them: first
        sample, one past the last, name, probability."""
        began = self.hearing.sounds if self._events else []
        return [(s.begin, s.end, s.name, round(s.probability, 3)) for s in began]

    def name_sounds(self, wanted: bool) -> None:
        """Tell a client of sounds, or do not.

        Raises:
            ConfigError: the preset has no `sound_tagger`.
        """
        self.hearing.name_sounds(self._tagger(wanted))
        self._events = wanted

    def show_captions(self, wanted: bool) -> None:
        """Tell a client what is said, or do not.

        Raises:
            ComponentError: the preset's Whisper has no decoder.
        """
        self.shown = wanted
        self._captions = self._model.captions if wanted or self.reads else None

    def since(self, sample: int) -> list[Window]:
        """The windows that end after a sample of the stream, as far as they are kept."""
        length = self._model.ear.spans.window
        return [window for window in self.hearing.windows if window.at + length > sample]

    def signs(self, turn: OpenTurn) -> Tensor | None:
        """What tells whether the speaker of a turn that is paused has finished; see
        `end_of_turn.signs`. None: there was nothing but silence."""
        heard = self.hearing.heard
        windows = [*[*self.hearing.windows][-1:], *(turn.ahead or ())][-2:]
        features = [w.speech[: (heard - w.at) // FEATURE_SAMPLES] for w in windows]
        if not any(map(len, features)):
            return None
        ending = turn.captioner.ending if self.reads and turn.captioner is not None else None
        return signs(torch.cat(features), ending)

    def finished(self, turn: OpenTurn) -> float | None:
        """The probability that the speaker of a turn that is paused has finished; None: nothing
        here can tell."""
        judge = self._model.end_of_turn
        found = None if judge is None else self.signs(turn)
        return None if judge is None or found is None else judge.probability(found)

    def said(self, turn: OpenTurn) -> str:
        """What was said in a turn that is paused, in words. Where the LLM reads none, only what is
        short is read: nobody waits for the rest."""
        if self.reads or not turn.uttered:
            return turn.item.transcript
        begun = self._utterance.begun
        if self.hearing.heard - begun > SHORT:
            return ""
        if turn.captioner is None:
            return self.overheard(begun)
        return turn.captioner.peek(turn.spoken([*(turn.ahead or ())]))

    def overheard(self, since: int) -> str:
        """What was said from a sample of the stream on, which no turn is about; empty where it is
        not clear, or the preset's Whisper has no decoder."""
        try:
            captioner = Captioner(self._model.captions)
        except ComponentError:
            return ""
        first = since - self._model.ear.spans.window
        heard = [*self.hearing.windows, *self.hearing.peek()]
        words = captioner.peek([window for window in heard if window.at >= first])
        return words if captioner.is_clear else ""

    def reader(self, since: int, spoken_from: int | None) -> tuple[Captioner | None, int]:
        """Who reads what is said in a turn, and the first sample whose window is read.

        Args:
            since: first sample that the turn is about.
            spoken_from: first sample of its utterance; None: nobody spoke.
        """
        first = self._utterance.since(since, spoken_from)
        if self._words:
            spoken_from = first
        if self._captions is None or spoken_from is None:
            return None, 0
        return Captioner(self._captions), spoken_from - self._model.ear.spans.window
