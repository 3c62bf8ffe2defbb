"""The presets of `config.yaml`, and its voice: an unknown key, a wrong type or a value out of range
is an error.

A preset is a `ModelConfig`. The defaults of its classes are the values published with SALMONN
(arXiv:2310.13289); a preset that is `like` another one takes that preset's values instead.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from assistant.rates import CLIP_FEATURES, CLIP_S, FEATURE_S, PATCH_S

MOST_TOKENS = 4096
"""Longest answer in tokens, as in the Realtime protocol."""

Features = Annotated[int, Field(ge=1, le=CLIP_FEATURES)]
"""A number of encoder outputs, at most as many as Whisper has positions."""

Layer = Annotated[int, Field(ge=1, le=32)]
"""A layer of Whisper's encoder, from 1; the large models have 32."""

Width = Annotated[int, Field(ge=1, le=65_536)]
"""Size of a layer; the largest published models stay below the limit."""


class Section(BaseModel):
    """A section of the configuration: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Settings `above`, completed by those of `below`.

    Sections are completed key by key; lists and single values of `above` replace those of `below`.
    """
    joined = dict(below)
    for name, value in above.items():
        under = below.get(name)
        if isinstance(under, dict) and isinstance(value, dict):
            joined[name] = over(under, value)
        else:
            joined[name] = value
    return joined


class PartConfig(Section):
    """Where the weights of one component come from."""

    weights: list[str]
    """Sources, tried in order: `package:NAME` (an installed data package), `openai:NAME`
    (downloaded by openai-whisper), `hub:OWNER/NAME` (downloaded from Hugging Face), `shipped:FILE`
    (part of the program), `toy:SEED` (random, for tests), or a path."""


class SpeechEncoderConfig(PartConfig):
    """Whisper's encoder."""

    hidden_layers: list[Layer] = []
    """Layers, from 1, whose outputs are joined to the last one's; early ones know more about
    sounds."""


class EncodingConfig(Section):
    """How the encoders hear a stream; see docs/adr/0003-streaming-encoders.md."""

    mode: Literal["cached", "recompute"] = "recompute"
    """cached: block-causal attention over cached keys and values of earlier blocks. recompute: each
    block is encoded together with its surroundings, for aligners trained on full context."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of the encoders' matrix products; CPUs without bfloat16 products use
    float32."""

    block_windows: Features = 4
    """Windows encoded together."""

    horizon_blocks: Features = 23
    """cached: most blocks until the stream is anchored anew, since Whisper's positions end at 30
    s."""

    overlap_blocks: Features = 4
    """cached: past blocks that a new anchor starts with."""

    silence_blocks: int = Field(default=0, ge=0, le=CLIP_FEATURES)
    """cached: blocks of silence before a stream and before every new anchor, for Whisper's
    encoder: it was trained on clips of 30 s and misreads short sentences without."""

    look_ahead_windows: int = Field(default=0, ge=0, le=CLIP_FEATURES)
    """cached: windows after a block that are waited for and seen with it, so that words at its end
    are read right; not with an `audio_encoder`."""

    left_context_s: float = Field(default=8.0, gt=0, le=CLIP_S)
    """recompute: seconds of earlier sound encoded with each block."""

    look_ahead_s: float = Field(default=0.64, ge=0, le=CLIP_S)
    """recompute: seconds of later sound waited for and encoded with each block."""

    pad_to_s: float = Field(default=30.0, ge=0, le=CLIP_S)
    """recompute, offline: clips are padded to this length, in seconds; 0: not padded. SALMONN's
    aligner was trained on 30 s."""

    @model_validator(mode="after")
    def _anchors_advance(self) -> Self:
        if self.overlap_blocks >= self.horizon_blocks:
            raise ValueError("overlap_blocks must be less than horizon_blocks")
        return self


class QFormerConfig(Section):
    """The window-level Q-Former (SALMONN, arXiv:2310.13289)."""

    layers: int = Field(default=2, ge=1, le=128)
    """Transformer layers; the deepest published models have about 128."""

    width: Width = 768
    """Size of its hidden states and queries; a multiple of `heads`."""

    heads: Width = 12
    """Attention heads of a layer."""

    mlp_width: Width = 3072
    """Size of the feed-forward layers."""

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
    """Features, of 20 ms each, in a window: what one query attends to."""

    stride_features: Features = 17
    """Features between the starts of two windows; has to equal `window_features`."""

    queries: int = Field(default=1, ge=1, le=CLIP_FEATURES)
    """Audio tokens per window; more than one per feature would be pointless."""

    qformer: QFormerConfig = QFormerConfig()

    transcript: bool = False
    """A second ear: after the audio tokens the LLM is given Whisper's transcript. For aligners and
    adapters that were trained with it; needs encoding.mode cached."""

    token_length: float | None = Field(default=None, gt=0, le=1e4)
    """Initial value of the Euclidean norm that every audio token is scaled to, and that is learned;
    null: not scaled. LLMs' embeddings have norms of a few units, hundreds at most."""

    @model_validator(mode="after")
    def _windows_follow_each_other(self) -> Self:
        if self.stride_features != self.window_features:
            raise ValueError(
                f"stride_features: {self.stride_features} is not window_features "
                f"({self.window_features}); windows neither overlap nor leave gaps"
            )
        return self


class LoraConfig(Section):
    """Low-rank adapters on the LLM (LoRA, arXiv:2106.09685)."""

    rank: Width = 8
    """Rank of each adapter's two matrices."""

    alpha: float = Field(default=32.0, gt=0, le=1e4)
    """The adapters' output is scaled by alpha / rank; published models use tens."""

    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Probability, in training only."""

    targets: list[str] = ["q_proj", "v_proj"]
    """Names of the linear layers adapted."""

    scale: float | None = Field(default=None, ge=0, le=1e4)
    """Replaces alpha / rank when the model is loaded (the paper's test-time discount); null: as
    trained."""


class LlmConfig(PartConfig):
    """The language model."""

    dtype: Literal["float32", "bfloat16", "float16"] = "float16"
    """Number format of the weights. On a CPU, bfloat16 is used in the lean engine alone, and if the
    processor multiplies it; otherwise float32. For fewer bits see `quantisation`."""

    engine: Literal["auto", "transformers", "lean"] = "auto"
    """What runs the layers. transformers: PyTorch with transformers' own layers. lean: our forward
    pass for Llamas on a CPU. auto: on a CPU, ONNX Runtime for Llamas and Qwen2 in 8 or 4 bits (see
    `quantisation`) and lean for other Llamas; transformers for everything else."""

    quantisation: Literal["none", "auto", "8bit", "4bit"] = "none"
    """Bits of the weights. 8bit, 4bit: in ONNX Runtime on a CPU (4bit only without LoRA), with
    bitsandbytes on a GPU. auto: on a CPU the bits of a GGUF file without LoRA, otherwise 8bit if
    ONNX Runtime can run the LLM; on a GPU none."""

    placement: Literal["single", "auto"] = "single"
    """single: one device. auto: the layers are spread over all GPUs, with accelerate."""

    lora: LoraConfig | None = LoraConfig()
    """Adapters; null: none."""


AUTO = "auto"
"""Value of `prompt.template` that stands for the LLM's own chat template."""


class CallConfig(Section):
    """A call of a function that an example shows."""

    name: str
    """Name of the function."""

    arguments: dict[str, Any] = {}
    """Its arguments."""


class ExampleConfig(Section):
    """An example turn, which stands in the prompt before all real ones."""

    user: str
    """What the user says."""

    assistant: str = ""
    """What the assistant answers."""

    sounds: str = "none"
    """reads: words: names of sounds and when they were heard, in the words that the LLM reads."""

    call: CallConfig | None = None
    """What the assistant calls, in place of what it says."""


class PromptConfig(Section):
    """How an instruction and audio become the LLM's input."""

    template: str = "USER: <Speech>{audio}</Speech> {instruction}\nASSISTANT:"
    """Contains `{audio}` and `{instruction}` once each. The text before `{audio}` is prefilled
    before sound arrives; only the text after it is left to prefill at the end of speech. auto: the
    chat template of the LLM's tokenizer, with `system` and the instruction as system message."""

    system: str = ""
    """template: auto: the system message, which says who the assistant is and how it talks; the
    instruction follows it."""

    examples: list[ExampleConfig] = []
    """template: auto: example turns, before all others."""

    system_with_tools: str = ""
    """template auto: in place of `system` where a client declares functions."""

    examples_with_tools: list[ExampleConfig] = []
    """template auto: the same of `examples`."""

    calls: Literal["template", "bare"] = "template"
    """template auto: how functions are called. template: as the chat template has it; bare: as JSON
    alone, one in a reply, for LLMs that were never taught the template's mark."""

    toolbox: bool = False
    """template auto: offer functions of our own (`tools`), with a prompt of their own."""

    bos: bool = True
    """Start with the tokenizer's beginning-of-text token."""

    default_task: str = "asr"
    """The task of `prompts.yaml` where none is given."""

    stop: list[str] = ["</s>"]
    """Tokens that end an answer, besides the LLM's own end token."""

    @model_validator(mode="after")
    def _slots(self) -> Self:
        for slot in ("{audio}", "{instruction}"):
            if self.template != AUTO and self.template.count(slot) != 1:
                raise ValueError(f"template must contain {slot} exactly once")
        return self


class GenerationConfig(Section):
    """How the tokens of an answer are chosen."""

    max_new_tokens: int = Field(default=200, ge=1, le=MOST_TOKENS)
    """Longest answer, in tokens."""

    beams: int = Field(default=4, ge=1, le=256)
    """Of the offline path, each with a KV cache; streamed answers take nothing back and use 1."""

    sample: bool = False
    """Draw tokens at random instead of taking the likeliest."""

    temperature: float = Field(default=1.0, gt=0, le=2)
    """Temperature of sampling; at most 2, as in the Realtime protocol."""

    top_p: float = Field(default=0.9, gt=0, le=1)
    """Nucleus sampling: probability mass of the likeliest tokens that are drawn from."""

    repetition_penalty: float = Field(default=1.0, gt=0, le=10)
    """Divides the logits of tokens that were used already; at 10 nothing is said twice."""

    length_penalty: float = Field(default=1.0, ge=-10, le=10)
    """Beam scores are divided by the length to this power."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of sampling; PyTorch's generators take 63 bits."""


class VoiceConfig(Section):
    """Who speaks the answers."""

    name: str = "heart"
    """`heart`, which comes with the program, another voice of `hibari-tts` or of Kokoro that is on
    the machine (docs/voice.md); `none`: answers are text."""

    speed: float = Field(default=1.0, ge=0.25, le=1.5)
    """Times as fast as the voice speaks by itself. The range is that of the wire's `speed`."""


class ModelConfig(Section):
    """A preset: all parts of a model."""

    speech_encoder: SpeechEncoderConfig
    audio_encoder: PartConfig | None
    encoding: EncodingConfig = EncodingConfig()
    reads: Literal["audio", "words"] = "audio"
    """How the LLM is told what was heard. audio: as audio tokens of an aligner trained for it.
    words: as Whisper's transcript and the names of sounds; any instruct LLM reads them."""

    aligner: AlignerConfig = AlignerConfig()
    llm: LlmConfig
    prompt: PromptConfig = PromptConfig()
    generation: GenerationConfig = GenerationConfig()
    sound_tagger: PartConfig | None = None
    """Names sounds as they begin, for sound events and `reads: words`; null: none."""

    tool_router: PartConfig | None = None
    """Tells when the LLM has to read of tools of our own; null, or made for another LLM: always."""

    end_of_turn: PartConfig | None = None
    """Judges at pauses whether the speaker has finished (`endpointing.eagerness`); null: none."""

    checkpoint: str | None
    """Weights of aligner and LoRA: `shipped:NAME`, our folder, a published `.pth`; null: random."""

    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$")
    """Where the model runs: auto (a GPU if there is one), cpu, cuda or cuda:N."""

    @model_validator(mode="after")
    def _encoders_reach(self) -> Self:
        encoding = self.encoding
        block = encoding.block_windows * self.aligner.window_features
        for key in ("horizon_blocks", "silence_blocks"):
            blocks: int = getattr(encoding, key)
            if encoding.mode == "cached" and block * blocks > CLIP_FEATURES:
                raise ValueError(
                    f"encoding.{key}: {blocks} blocks of {block} features "
                    f"are more than the {CLIP_FEATURES} Whisper has positions for"
                )
        look_ahead = encoding.look_ahead_windows * self.aligner.window_features
        if encoding.mode == "cached" and look_ahead:
            if self.audio_encoder is not None:
                raise ValueError("encoding.look_ahead_windows: not with an audio_encoder")
            if block * encoding.horizon_blocks + look_ahead > CLIP_FEATURES:
                raise ValueError(
                    f"encoding.look_ahead_windows: {look_ahead} features after those of "
                    f"horizon_blocks are more than the {CLIP_FEATURES} Whisper has positions for"
                )
        # The left context may begin a patch earlier, on BEATs' grid.
        span_s = encoding.left_context_s + PATCH_S + block * FEATURE_S + encoding.look_ahead_s
        if encoding.mode == "recompute" and span_s > CLIP_S:
            why = f"with block and look_ahead_s {span_s:.2f} s are encoded at once"
            raise ValueError(f"encoding.left_context_s: {why}; Whisper has positions for 30 s")
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
            multiple = "aligner.window_features to be a multiple of 8"  # a patch column of BEATs
            raise ValueError(f"encoding.mode cached needs {multiple}")
        return self
