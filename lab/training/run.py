"""Running a stage of training: put together what its configuration names, and train."""

from collections.abc import Iterable
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
from lab.features import STORE, FeatureStore
from lab.training.config import StageConfig
from lab.training.ctc import CtcHead, CtcStage
from lab.training.events import EventStage
from lab.training.loop import Corpus, Lead, Stage, halved, train, trainable
from lab.training.read import ReadStage, halve_layers
from lab.training.tag import TagStage

ALIGNER = "aligner."
"""What the aligner's tensors are called in a run's state."""


def run_stage(model: ModelConfig, config: StageConfig, runs: Path, name: str) -> Path:
    """Train stage `config` in `runs/name`, going on where an earlier run stopped.

    Args:
        model: the preset being trained.
        config: of the stage.
        runs: folder with `features/` and the runs.
        name: of this run.

    Returns:
        The run's folder; `state.pt` in it holds the trained tensors, and after `tag`
        `beats.safetensors` the encoder alone, after `events` `tagger.safetensors` the tagger.

    Raises:
        ConfigError: features are missing, held-out rows would be trained on, or the run was begun
            with other settings.
    """
    # Probabilities far under fp32's normal range slow CPUs down fourfold.
    torch.set_flush_denormal(True)
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    kept = runs / ("fbank" if config.stage == "tag" else "features")
    missing = [n for n in [*(c.store for c in config.train), *config.watch,
                           *([config.lead.store] if config.lead else [])]
               if not (kept / n / STORE).is_file()]  # fmt: skip
    if missing:
        raise ConfigError(f"{kept}: no {', '.join(missing)}; make them with `salmonn-live data`")
    stores = [_taught(kept / c.store, "train") for c in config.train]
    watch = {name: FeatureStore(kept / name) for name in config.watch}
    corpus = Corpus(stores, [c.times for c in config.train])
    stage = build_stage(model, config, runs, [row.text for s in stores for row in s.rows])
    stage.module.train()
    speech = _speech_width(stage) if config.audio_dropout else 0
    train(stage, corpus, watch, config, runs / name, _lead(model, config, kept), speech)
    if isinstance(stage, TagStage):
        save_beats(stage.beats, runs / name / "beats.safetensors")
    if isinstance(stage, EventStage):
        save_tagger(stage.tagger, runs / name / "tagger.safetensors")
    return runs / name


def _speech_width(stage: Stage) -> int:
    """Of the speech encoder's features, as the stage's aligner takes them."""
    norm = stage.module.get_submodule("aligner.ln_speech")
    assert isinstance(norm, nn.LayerNorm)
    return norm.normalized_shape[0]


def _taught(folder: Path, key: str) -> FeatureStore:
    """A store that the stage's `key` names: to be trained on."""
    store = FeatureStore(folder)
    if any(row.split == "dev" for row in store.rows):
        raise ConfigError(f"{key}: {folder.name} has rows of split dev, which are only watched")
    return store


def _lead(model: ModelConfig, config: StageConfig, kept: Path) -> Lead | None:
    if config.lead is None:
        return None
    window = model.aligner.window_features
    store = _taught(kept / config.lead.store, "lead")
    return Lead(store, config.lead.share, config.lead.windows * window, window)


def build_stage(model: ModelConfig, config: StageConfig, runs: Path, texts: list[str]) -> Stage:
    """The stage, going on with what `config.start_from` trained.

    Args:
        model: the preset being trained.
        config: of the stage.
        runs: folder of the runs.
        texts: everything heard in training.

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
    llm = build_llm(model, train=config.stage == "read")
    aligner = build_aligner(model, ear, llm.width)
    earlier: dict[str, Tensor] = {}
    if config.start_from is not None:
        earlier = read_state(runs / config.start_from / "state.pt")["parameters"]
        ours = {k.removeprefix(ALIGNER): v for k, v in earlier.items() if k.startswith(ALIGNER)}
        require(aligner, ours, f"aligner of {config.start_from}")
    if config.compile:
        _compile(aligner.qformer.layers)
    if config.stage == "ctc":
        return _go_on(CtcStage(aligner, _ctc_head(llm, texts)), earlier)
    if halved(config):
        halve_layers(llm)
    llm.model.set_attn_implementation("eager")  # the fused kernel's gradient is slow on CPUs
    if config.compile:
        _compile(llm.model.get_base_model().model.layers)
    head = _ctc_head(llm, texts) if config.ctc_weight else None
    shares = config.text_share, config.transcript_share
    stage = ReadStage(
        aligner, llm, Prompt(model.prompt), *shares, head, config.ctc_weight, config.ctc_alone,
        config.text_sums,
    )  # fmt: skip
    return _go_on(stage, earlier)


def _compile(layers: Iterable[nn.Module]) -> None:
    for layer in layers:  # one program for all of them, for any length
        layer.compile(dynamic=True)


def _go_on(stage: Stage, earlier: dict[str, Tensor]) -> Stage:
    """The stage with what the one before trained: adapters and CTC's head, too, if it had them."""
    with torch.no_grad():
        for name, tensor in trainable(stage.module).items():
            if name in earlier:
                tensor.copy_(earlier[name])
    return stage


def _ctc_head(llm: Llm, texts: list[str]) -> CtcHead:
    tokenizer: Tokenizer = llm.tokenizer.backend_tokenizer
    embeddings = llm.embed(list(range(len(tokenizer.get_vocab())))).float().clone()
    return CtcHead(embeddings, tokenizer, texts)
