"""Running a stage of training: put together what its configuration names, and train."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from assistant.config import ModelConfig
from assistant.ear.tagger import save_tagger
from assistant.encoders.beats import Beats, save_beats
from assistant.errors import ConfigError
from assistant.files.weights import read_state, require
from assistant.llm.llm import Llm
from assistant.parts.build import build_aligner, build_ear, build_llm
from assistant.prompt.prompt import Prompt
from lab.features import FeatureStore
from lab.training.config import StageConfig
from lab.training.ctc import CtcHead, CtcStage
from lab.training.events import EventStage
from lab.training.loop import Corpus, Lead, Stage, halved, train, trainable
from lab.training.read import ReadStage, halve_layers
from lab.training.tag import TagStage

STATE, BEATS, TAGGER = "state.pt", "beats.safetensors", "tagger.safetensors"
"""Files in a run's folder."""

ALIGNER = "aligner."
"""What the aligner's tensors are called in a run's state."""


def run_stage(
    model: ModelConfig,
    config: StageConfig,
    run: Path,
    stores: Mapping[str, Path],
    earlier: Path | None = None,
) -> None:
    """Train stage `config` in folder `run`, going on where it was interrupted.

    Args:
        model: the preset being trained.
        config: of the stage.
        run: receives `state.pt` with the trained tensors, after `tag` also `beats.safetensors`,
            the encoder alone, and after `events` `tagger.safetensors`, the tagger.
        stores: for each corpus that the stage names the folder of its features.
        earlier: `state.pt` of what the stage starts from.

    Raises:
        ConfigError: held-out rows would be trained on.
    """
    # Probabilities far under fp32's normal range slow CPUs down fourfold.
    torch.set_flush_denormal(True)
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    taught = [_taught(stores[name], f"train: {name}") for name in config.train]
    watch = {name: FeatureStore(stores[name]) for name in config.watch}
    corpus = Corpus(taught, list(config.train.values()))
    texts = [row.text for store in taught for row in store.rows]
    stage = build_stage(model, config, texts, earlier)
    stage.module.train()
    speech = _speech_width(stage) if config.audio_dropout else 0
    train(stage, corpus, watch, config, run, _lead(model, config, stores), speech)
    if isinstance(stage, TagStage):
        save_beats(stage.beats, run / BEATS)
    if isinstance(stage, EventStage):
        save_tagger(stage.tagger, run / TAGGER)


def _speech_width(stage: Stage) -> int:
    """Of the speech encoder's features, as the stage's aligner takes them."""
    norm = stage.module.get_submodule("aligner.ln_speech")
    assert isinstance(norm, nn.LayerNorm)
    return norm.normalized_shape[0]


def _taught(folder: Path, key: str) -> FeatureStore:
    """A store that the stage's `key` names: to be trained on."""
    store = FeatureStore(folder)
    for row in store.rows:
        if row.split != "train":
            raise ConfigError(f"{key}: has rows of split {row.split}, which nothing is trained on")
    return store


def _lead(model: ModelConfig, config: StageConfig, stores: Mapping[str, Path]) -> Lead | None:
    if config.lead is None:
        return None
    window = model.aligner.window_features
    store = _taught(stores[config.lead.store], f"lead: {config.lead.store}")
    return Lead(store, config.lead.share, config.lead.windows * window, window)


def build_stage(
    model: ModelConfig, config: StageConfig, texts: list[str], earlier: Path | None
) -> Stage:
    """The stage, going on with what was trained before it.

    Args:
        model: the preset being trained.
        config: of the stage.
        texts: everything heard in training.
        earlier: `state.pt` of what it starts from.

    Raises:
        ConfigError: the stage lacks something, or starts from another model.
    """
    if config.stage == "tag":
        if config.beats is None:
            raise ConfigError("beats: the stage needs the size of the encoder")
        block = model.encoding.block_windows * model.aligner.window_features
        return TagStage(Beats(config.beats), texts, block)
    ear = build_ear(model)
    if config.stage == "events":
        block = model.encoding.block_windows * model.aligner.window_features
        return EventStage(texts, ear.feature_width, block)
    llm = build_llm(_adapted(model, config), train=config.stage == "read")
    aligner = build_aligner(model, ear, llm.width)
    before: dict[str, Tensor] = {}
    if earlier is not None:
        before = read_state(earlier)["parameters"]
        ours = {k.removeprefix(ALIGNER): v for k, v in before.items() if k.startswith(ALIGNER)}
        require(aligner, ours, f"aligner of {config.start_from}")
    if config.compile:
        _compile(aligner.qformer.layers)
    if config.stage == "ctc":
        return _go_on(CtcStage(aligner, _ctc_head(llm, texts, config.ctc_scale)), before)
    if halved(config):
        halve_layers(llm)
    llm.model.set_attn_implementation("eager")  # the fused kernel's gradient is slow on CPUs
    if config.compile:
        _compile(llm.model.get_base_model().model.layers)
    head = _ctc_head(llm, texts, config.ctc_scale) if config.ctc_weight else None
    shares = config.text_share, config.transcript_share
    stage = ReadStage(
        aligner, llm, Prompt(model.prompt), *shares, head, config.ctc_weight, config.ctc_alone,
        config.text_sums,
    )  # fmt: skip
    return _go_on(stage, before)


def _adapted(model: ModelConfig, config: StageConfig) -> ModelConfig:
    """The preset with adapters where the stage wants them."""
    if config.adapters is None or model.llm.lora is None:
        return model
    lora = model.llm.lora.model_copy(update={"targets": config.adapters})
    return model.model_copy(update={"llm": model.llm.model_copy(update={"lora": lora})})


def _compile(layers: Iterable[nn.Module]) -> None:
    for layer in layers:  # one program for all of them, for any length
        layer.compile(dynamic=True)


def _go_on(stage: Stage, before: dict[str, Tensor]) -> Stage:
    """The stage with what the one before trained: adapters and CTC's head, too, if it had them."""
    with torch.no_grad():
        for name, tensor in trainable(stage.module).items():
            if name in before:
                tensor.copy_(before[name])
    return stage


def _ctc_head(llm: Llm, texts: list[str], scale: float) -> CtcHead:
    tokenizer: Tokenizer = llm.tokenizer.backend_tokenizer
    embeddings = llm.embed(list(range(len(tokenizer.get_vocab())))).float().clone()
    return CtcHead(embeddings, tokenizer, texts, scale)
