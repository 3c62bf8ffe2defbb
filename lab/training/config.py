"""The configuration of a stage of training: part of a recipe."""

from typing import Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from assistant.config import Section
from assistant.encoders.beats import BeatsConfig

CTC_SCALE = 40.0
"""What cosines are multiplied by to be logits. Training moves it little, and at 10 a token that
competes with 3,000 others could hardly have more than half of the probability, however near."""


class LeadConfig(Section):
    """What is put before recordings: live, a turn begins with the seconds before the utterance."""

    store: str
    """Corpus of backgrounds: a random stretch of a random row is put before another row."""

    share: float = Field(gt=0, le=1)
    """Part of the rows that get one."""

    windows: PositiveInt
    """Longest lead."""


class AloneConfig(Section):
    """Parts of the rows."""

    transcriptions: float = Field(default=0.0, ge=0, le=1)
    """Of those whose answer is what is said."""

    others: float = Field(default=0.0, ge=0, le=1)


class ReplannedConfig(Section):
    """A length that a run was given first, and that was changed while it ran."""

    until: PositiveInt
    """The step at which it was changed."""

    steps: PositiveInt
    """The length it had till then: the learning rate's schedule was that of so many steps."""


class StageConfig(Section):
    """One stage of training."""

    stage: Literal["tag", "ctc", "read", "events"]
    """tag: the audio encoder learns to tell sounds apart. ctc: audio tokens against the LLM's
    embeddings. read: the LLM reads them. events: the sound tagger."""

    start_from: str | None = None
    """The run or the mean whose weights it begins with; null: it starts afresh."""

    train: dict[str, PositiveFloat]
    """Corpora, and how often each row is heard per epoch; 0.25 is a quarter of the rows, others in
    each epoch."""

    watch: dict[str, PositiveInt]
    """Corpora that figures are computed on after each epoch, and how many rows of each."""

    epochs: PositiveInt
    steps: PositiveInt | None = None
    """End after so many steps, inside an epoch or not; the learning rate's schedule ends there."""

    stop: PositiveInt | None = None
    """End after so many steps, before the schedule does."""

    replanned: list[ReplannedConfig] = Field(default=[])
    """Lengths that the run had before, in order, where it was shortened while it ran."""

    batch: PositiveInt
    """Utterances per step."""

    learning_rate: PositiveFloat
    warmup_steps: PositiveInt = 200
    weight_decay: float = Field(default=0.01, ge=0)
    clip_norm: PositiveFloat = 1.0
    """Largest norm of the gradient."""

    seed: int = 0
    beats: BeatsConfig | None = None
    """tag: size of the encoder."""

    bfloat16: bool = True
    """Multiply in bf16 on CPUs that have it: two to three times faster."""

    compile: bool = False
    """ctc, read: let inductor fuse the layers' small operations: a third off every step, after two
    minutes at the start; needs a C++ compiler."""

    threads: PositiveInt = 2
    checkpoint_minutes: PositiveFloat = 3.0
    mask_share: float = Field(default=0.0, ge=0, lt=1)
    """Part of the features silenced at random, in spans of 120 ms."""

    audio_dropout: float = Field(default=0.0, ge=0, lt=1)
    """ctc, read: part of the rows that bring the speech encoder's features alone, so that the
    aligner does not rely on a small audio encoder, which knows its training's sounds too well."""

    transcript_share: float = Field(default=0.0, ge=0, le=1)
    """read: part of the rows that bring what Whisper's decoder reads, after the audio tokens."""

    lead: LeadConfig | None = None

    text_share: float = Field(default=0.0, ge=0, lt=1)
    """read: part of the rows whose text is given instead of audio."""

    text_sums: NonNegativeInt = 0
    """read: sums, differences, products and quotients given as text in each step, beside its
    recordings: adding can be learned without hearing."""

    ctc_weight: float = Field(default=0.0, ge=0)
    """read: weight of CTC's loss on all rows, beside the LLM's; 0: the LLM alone teaches."""

    ctc_scale: PositiveFloat = CTC_SCALE
    """ctc, read: what the cosines of CTC's logits are multiplied by at first."""

    adapters: list[str] | None = None
    """read: the LLM's linear layers that are adapted; null: those of the preset."""

    ctc_alone: AloneConfig = AloneConfig()
    """read: what only CTC learns from: a tenth of the LLM's work."""

    @model_validator(mode="after")
    def _two_encoders(self) -> Self:
        if self.audio_dropout and self.stage not in ("ctc", "read"):
            raise ValueError(f"audio_dropout: stage {self.stage} does not hear with two encoders")
        if self.compile and self.stage not in ("ctc", "read"):
            raise ValueError(f"compile: stage {self.stage} is not compiled")
        return self
