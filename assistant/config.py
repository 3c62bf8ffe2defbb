"""The model's part of `config.yaml`: every key is known, typed and in range, or we stop.

A preset is a complete `ModelConfig`. Class defaults are the values published with SALMONN, so that
`salmonn-7b` and `salmonn-13b` spell out only what is theirs.
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

HORIZON_FEATURES = 1500
"""Positions of Whisper's encoder, 20 ms each."""


class Section(BaseModel):
    """A part of the configuration: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class PartConfig(Section):
    """Where the weights of one component come from."""

    weights: list[str]
    """Sources, tried in order: `package:NAME` (a data package of the machine), `openai:NAME`
    (downloaded by openai-whisper), `hub:OWNER/NAME`, `shipped:FILE` (came with the program),
    `toy:SEED` (random, for tests), or a path."""


class SpeechEncoderConfig(PartConfig):
    """Whisper's encoder."""

    hidden_layers: list[PositiveInt] = []
    """Layers, from 1, whose output is joined to the last one's: early ones know more of sounds."""


class EncodingConfig(Section):
    """How the encoders hear a stream; see docs/adr/0003-streaming-encoders.md."""

    mode: Literal["cached", "recompute"] = "recompute"
    """cached: block-causal, the past is kept as keys and values. recompute: each block is encoded
    again with its surroundings, for aligners trained on full context."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the ear's matrix products; bfloat16 only on CPUs that multiply it, float32 on others."""

    block_windows: PositiveInt = 4
    """Windows encoded together."""

    horizon_blocks: PositiveInt = 23
    """cached: blocks seen at most before the stream is anchored anew."""

    overlap_blocks: PositiveInt = 4
    """cached: past blocks a new anchor begins with."""

    left_context_s: PositiveFloat = 8.0
    """recompute: seconds of past sound encoded with each block."""

    look_ahead_s: float = Field(default=0.64, ge=0)
    """recompute: seconds of later sound waited for and encoded with each block."""

    pad_to_s: float = Field(default=30.0, ge=0, le=30)
    """Offline, recompute: clips are encoded as if this long, in seconds; 0 takes the real length.
    SALMONN's aligner saw 30 s always."""

    @model_validator(mode="after")
    def _anchors_advance(self) -> Self:
        if self.overlap_blocks >= self.horizon_blocks:
            raise ValueError("overlap_blocks must be less than horizon_blocks")
        return self


class QFormerConfig(Section):
    """The window-level Q-Former (salmonn.md a.6)."""

    layers: PositiveInt = 2
    width: PositiveInt = 768
    heads: PositiveInt = 12
    mlp_width: PositiveInt = 3072
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Probability, in training only."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError("width must be a multiple of heads")
        return self


class AlignerConfig(Section):
    """From encoder features to audio tokens."""

    window_features: PositiveInt = 17
    """Features, of 20 ms each, that a query sees."""

    stride_features: PositiveInt = 17
    """Features from one window's start to the next one's."""

    queries: PositiveInt = 1
    """Audio tokens per window."""

    qformer: QFormerConfig = QFormerConfig()

    transcript: bool = False
    """A second ear: after the audio tokens the LLM is given what Whisper's decoder reads. For
    aligners and adapters trained so; needs encoding.mode cached."""

    token_length: PositiveFloat | None = None
    """Start value of a learned Euclidean length that every audio token is scaled to; null: as
    projected."""


class LoraConfig(Section):
    """Low-rank adapters on the LLM (salmonn.md a.8)."""

    rank: PositiveInt = 8
    alpha: PositiveFloat = 32.0
    """The scale is alpha / rank."""

    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Probability, in training only."""

    targets: list[str] = ["q_proj", "v_proj"]
    """Names of the linear layers adapted."""

    scale: float | None = Field(default=None, ge=0)
    """Replaces alpha / rank at load time: the paper's test-time discount. null: as trained."""


class LlmConfig(PartConfig):
    """The language model."""

    dtype: Literal["float32", "bfloat16", "float16"] = "float16"
    """Number format of its weights. On a CPU, bfloat16 only in the lean engine and where the
    processor multiplies it; float32 otherwise. Weights in 8 bits: see `quantisation`."""

    engine: Literal["auto", "transformers", "lean"] = "auto"
    """What runs the layers. lean: a lean forward for Llamas on a CPU. auto: it where it can."""

    quantisation: Literal["none", "auto", "8bit", "4bit"] = "none"
    """8bit, 4bit: on a CPU in ONNX Runtime, on a GPU with bitsandbytes; 4bit on a CPU is for
    weights without LoRA. auto: on CPUs, where it can, as a GGUF file has them, else 8bit; none
    elsewhere."""

    placement: Literal["single", "auto"] = "single"
    """auto spreads the layers over all GPUs, with accelerate."""

    lora: LoraConfig | None = LoraConfig()


AUTO = "auto"
"""The template that is the LLM's own."""


class ExampleConfig(Section):
    """A turn that the LLM is shown before all others."""

    user: str
    assistant: str
    sounds: str = "none"
    """reads words: names of sounds and when they were heard, as the LLM is told."""


class PromptConfig(Section):
    """How an instruction and audio become the LLM's input."""

    template: str = "USER: <Speech>{audio}</Speech> {instruction}\nASSISTANT:"
    """`{audio}` and `{instruction}` each once. What stands before `{audio}` is prefilled before
    any sound arrives; what stands after it is all that is left at the end of speech. auto: the
    chat template that comes with the LLM's tokenizer; `system` and the instruction are its system
    message."""

    system: str = ""
    """template auto: who the assistant is and how it talks; stands before every instruction."""

    examples: list[ExampleConfig] = []
    """template auto: turns that show it."""

    bos: bool = True
    """Begin with the tokenizer's beginning-of-text token."""

    default_task: str = "asr"
    """The task of `prompts.yaml` whose instruction is given when nobody gives one."""

    stop: list[str] = ["</s>"]
    """Tokens that end the answer, besides the model's own end token."""

    @model_validator(mode="after")
    def _slots(self) -> Self:
        for slot in ("{audio}", "{instruction}"):
            if self.template != AUTO and self.template.count(slot) != 1:
                raise ValueError(f"template must contain {slot} exactly once")
        return self


class GenerationConfig(Section):
    """How answers are chosen (salmonn.md a.9)."""

    max_new_tokens: PositiveInt = 200
    beams: PositiveInt = 4
    """Beams of the offline path; a streamed answer cannot take back what it said and uses 1."""

    sample: bool = False
    """Draw tokens at random instead of taking the likeliest."""

    temperature: PositiveFloat = 1.0
    top_p: float = Field(default=0.9, gt=0, le=1)
    """Probability mass sampled from."""

    repetition_penalty: PositiveFloat = 1.0
    length_penalty: float = 1.0
    """Exponent of the length that beam scores are divided by."""

    seed: int = 0
    """Of sampling."""


class ModelConfig(Section):
    """Everything that makes one model."""

    speech_encoder: SpeechEncoderConfig
    audio_encoder: PartConfig | None
    encoding: EncodingConfig = EncodingConfig()
    reads: Literal["audio", "words"] = "audio"
    """What the LLM is given of what is heard. audio: audio tokens, which an aligner makes that was
    trained for this LLM. words: what Whisper's decoder reads at the pause, and the names that
    `sound_tagger` has for sounds; any instruct LLM reads them."""

    aligner: AlignerConfig = AlignerConfig()
    llm: LlmConfig
    prompt: PromptConfig = PromptConfig()
    generation: GenerationConfig = GenerationConfig()
    sound_tagger: PartConfig | None = None
    """Names sounds as they begin, for sound events; null: none."""

    checkpoint: str | None
    """Aligner and LoRA: a folder in our format, a published `.pth`, or null for random ones."""

    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """auto, cpu, cuda or cuda:N."""

    @model_validator(mode="after")
    def _encoders_reach(self) -> Self:
        encoding = self.encoding
        block = encoding.block_windows * self.aligner.stride_features
        if encoding.mode == "cached" and block * encoding.horizon_blocks > HORIZON_FEATURES:
            raise ValueError(
                f"encoding.horizon_blocks: {encoding.horizon_blocks} blocks of {block} features "
                f"are more than the {HORIZON_FEATURES} Whisper has positions for"
            )
        grid_s = 0.16  # the left context may begin this much earlier, on BEATs' patch grid
        span_s = encoding.left_context_s + grid_s + block * 0.02 + encoding.look_ahead_s
        if encoding.mode == "recompute" and span_s > HORIZON_FEATURES * 0.02:
            raise ValueError(
                f"encoding.left_context_s: with block and look_ahead_s {span_s:.2f} s are encoded "
                "at once; Whisper has positions for 30 s"
            )
        return self

    @model_validator(mode="after")
    def _words_need_no_training(self) -> Self:
        if self.reads == "words":
            if self.encoding.mode != "cached":
                raise ValueError("reads: words needs encoding.mode cached")
            if self.checkpoint is not None or self.llm.lora is not None:
                raise ValueError("reads: words needs checkpoint and llm.lora to be null")
        return self

    @model_validator(mode="after")
    def _blocks_hold_windows(self) -> Self:
        cached = self.encoding.mode == "cached"
        if self.aligner.transcript and not cached:
            raise ValueError("aligner.transcript needs encoding.mode cached")
        if cached and self.aligner.stride_features != self.aligner.window_features:
            raise ValueError("encoding.mode cached needs aligner.stride_features = window_features")
        if cached and self.aligner.window_features % 8:
            raise ValueError(
                "encoding.mode cached needs aligner.window_features to be a multiple of 8 "
                "(a BEATs patch column is 8 features)"
            )
        return self
