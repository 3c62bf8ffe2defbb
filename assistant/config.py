"""The model's part of `config.yaml`: every key is known, typed and in range, or we stop.

A preset is a complete `ModelConfig`. Class defaults are the values published with SALMONN, so that
`salmonn-7b` and `salmonn-13b` spell out only what is theirs.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from assistant.rates import CLIP_FEATURES, CLIP_S, FEATURE_S, PATCH_S

MOST_TOKENS = 4096
"""Of an answer: what a client of the wire may ask for at most."""

Features = Annotated[int, Field(ge=1, le=CLIP_FEATURES)]
"""A number of encoder outputs; no more than Whisper has positions for."""

Layer = Annotated[int, Field(ge=1, le=32)]
"""A layer of Whisper, from 1; the large ones have 32."""

Width = Annotated[int, Field(ge=1, le=65_536)]
"""Size of a layer; those of the largest models published are smaller."""


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

    hidden_layers: list[Layer] = []
    """Layers, from 1, whose output is joined to the last one's: early ones know more of sounds."""


class EncodingConfig(Section):
    """How the encoders hear a stream; see docs/adr/0003-streaming-encoders.md."""

    mode: Literal["cached", "recompute"] = "recompute"
    """cached: block-causal, the past is kept as keys and values. recompute: each block is encoded
    again with its surroundings, for aligners trained on full context."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the ear's matrix products; bfloat16 only on CPUs that multiply it, float32 on others."""

    block_windows: Features = 4
    """Windows encoded together."""

    horizon_blocks: Features = 23
    """cached: blocks seen at most before the stream is anchored anew."""

    overlap_blocks: Features = 4
    """cached: past blocks a new anchor begins with."""

    silence_blocks: int = Field(default=0, ge=0, le=CLIP_FEATURES)
    """cached: blocks of silence before a stream and before every new anchor, for Whisper's
    encoder: it was trained on clips of 30 s and misreads short sentences without."""

    left_context_s: float = Field(default=8.0, gt=0, le=CLIP_S)
    """recompute: seconds of past sound encoded with each block."""

    look_ahead_s: float = Field(default=0.64, ge=0, le=CLIP_S)
    """recompute: seconds of later sound waited for and encoded with each block."""

    pad_to_s: float = Field(default=30.0, ge=0, le=CLIP_S)
    """Offline, recompute: clips are encoded as if this long, in seconds; 0 takes the real length.
    SALMONN's aligner saw 30 s always."""

    @model_validator(mode="after")
    def _anchors_advance(self) -> Self:
        if self.overlap_blocks >= self.horizon_blocks:
            raise ValueError("overlap_blocks must be less than horizon_blocks")
        return self


class QFormerConfig(Section):
    """The window-level Q-Former (salmonn.md a.6)."""

    layers: int = Field(default=2, ge=1, le=128)
    """The deepest models published have about as many."""

    width: Width = 768
    heads: Width = 12
    mlp_width: Width = 3072
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Probability, in training only."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError("width must be a multiple of heads")
        return self


class AlignerConfig(Section):
    """From encoder features to audio tokens."""

    window_features: Features = 17
    """Features, of 20 ms each, that a query sees."""

    stride_features: Features = 17
    """Features from one window's start to the next one's: as many as a window holds."""

    queries: int = Field(default=1, ge=1, le=CLIP_FEATURES)
    """Audio tokens per window; one for each feature is as fine as it gets."""

    qformer: QFormerConfig = QFormerConfig()

    transcript: bool = False
    """A second ear: after the audio tokens the LLM is given what Whisper's decoder reads. For
    aligners and adapters trained so; needs encoding.mode cached."""

    token_length: float | None = Field(default=None, gt=0, le=1e4)
    """Start value of a learned Euclidean length that every audio token is scaled to; null: as
    projected. LLMs' embeddings are a few units long, hundreds at most."""

    @model_validator(mode="after")
    def _windows_follow_each_other(self) -> Self:
        if self.stride_features != self.window_features:
            raise ValueError(
                f"stride_features: {self.stride_features} is not window_features "
                f"({self.window_features}); windows neither overlap nor leave gaps"
            )
        return self


class LoraConfig(Section):
    """Low-rank adapters on the LLM (salmonn.md a.8)."""

    rank: Width = 8
    alpha: float = Field(default=32.0, gt=0, le=1e4)
    """The scale is alpha / rank; published ones are in the tens."""

    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Probability, in training only."""

    targets: list[str] = ["q_proj", "v_proj"]
    """Names of the linear layers adapted."""

    scale: float | None = Field(default=None, ge=0, le=1e4)
    """Replaces alpha / rank at load time: the paper's test-time discount. null: as trained. No
    more than alpha at rank 1."""


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

    max_new_tokens: int = Field(default=200, ge=1, le=MOST_TOKENS)
    beams: int = Field(default=4, ge=1, le=256)
    """Beams of the offline path; a streamed answer cannot take back what it said and uses 1. Each
    is a KV cache of its own, and more than tens find nothing better."""

    sample: bool = False
    """Draw tokens at random instead of taking the likeliest."""

    temperature: float = Field(default=1.0, gt=0, le=2)
    """Over 2, as on the wire, all tokens are much alike."""

    top_p: float = Field(default=0.9, gt=0, le=1)
    """Probability mass sampled from."""

    repetition_penalty: float = Field(default=1.0, gt=0, le=10)
    """What the logits of tokens already said are divided by; at 10 nothing is said twice."""

    length_penalty: float = Field(default=1.0, ge=-10, le=10)
    """Exponent of the length that beam scores are divided by; beyond 10 the length alone counts."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """Of sampling; PyTorch's generators take 63 bits."""


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

    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$")
    """auto, cpu, cuda or cuda:N."""

    @model_validator(mode="after")
    def _encoders_reach(self) -> Self:
        encoding = self.encoding
        block = encoding.block_windows * self.aligner.window_features
        for key, blocks in (
            ("horizon_blocks", encoding.horizon_blocks),
            ("silence_blocks", encoding.silence_blocks),
        ):
            if encoding.mode == "cached" and block * blocks > CLIP_FEATURES:
                raise ValueError(
                    f"encoding.{key}: {blocks} blocks of {block} features "
                    f"are more than the {CLIP_FEATURES} Whisper has positions for"
                )
        # The left context may begin a patch earlier, on BEATs' grid.
        span_s = encoding.left_context_s + PATCH_S + block * FEATURE_S + encoding.look_ahead_s
        if encoding.mode == "recompute" and span_s > CLIP_S:
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
        if cached and self.aligner.window_features % 8:
            raise ValueError(
                "encoding.mode cached needs aligner.window_features to be a multiple of 8 "
                "(a BEATs patch column is 8 features)"
            )
        return self
