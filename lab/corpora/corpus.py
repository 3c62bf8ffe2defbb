"""What a corpus is made of: the YAML files that `salmonn-live data` takes."""

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt

from assistant.config import Section
from assistant.files.presets import read_yaml, validate
from lab.features import Kind


class Corpus(Section):
    """One feature store to be made."""

    name: str
    """Folder under `runs/data` and `runs/features`."""

    kind: Literal[
        "synthetic",
        "nobody",
        "speechocean",
        "librispeech",
        "keywords",
        "sounds",
        "instruments",
        "rough",
        "joined",
        "mixtures",
        "replies",
        "details",
        "stories",
        "orchestra",
        "excerpts",
    ]
    """synthetic: texts read by synthetic voices. nobody: recordings without speech.
    speechocean: a split of speechocean762. librispeech: with pseudo-transcripts. keywords: short
    phrases. sounds: excerpts of `data/sound`. instruments: played by FluidSynth. rough: another
    corpus in rooms and noise. joined: utterances of other corpora end to end. mixtures: sounds and
    speech together. replies, details, stories: rows about another corpus, whose features they
    share. orchestra: more instruments, for excerpts. excerpts: of `data/sound` and
    `data/sound/more`, for the tagger of `small`, and of an orchestra."""

    of: list[str] = Field(default=[])
    """rough, joined, replies, details, stories, excerpts: the corpora taken from, made before."""

    voices: Literal["train", "wide", "quick", "unseen", "neural"] = "train"
    """synthetic, mixtures: which voices read. train: those that training heard first. wide: more.
    quick: of those the quick ones. unseen, neural: those that only evaluation hears."""

    texts: Literal["assistant", "general", "questions", "trivia"] = "assistant"
    """synthetic: what they read. assistant: queries and home commands. general: WordNet's examples
    and fortunes. questions: ours, with known answers. trivia: OpenTriviaQA's, with theirs."""

    disguised: float = Field(default=0.0, ge=0, le=1)
    """synthetic, mixtures, rough: part of the utterances said by another speaker (`disguise`)."""

    live: bool = False
    """synthetic where noisy, rough: as turns are cut out of a stream (`roughen`)."""

    noisy: bool = False
    """synthetic: in rooms and noise instead of a quiet place."""

    split: Literal["train", "dev", "choose", "report"] = "train"
    """synthetic: which texts; speechocean: which speakers; sounds: which source recordings, those
    of dev as they are; mixtures: which texts and sounds; excerpts: what the library keeps for it,
    as it is, if not train. Rows say it, and those of dev are not
    trained on."""

    made_of: Literal["clips", "talk", "whole"] = "clips"
    """excerpts: clips: one or two, or none. talk: one with speech before it, and some after it,
    too. whole: the clips as they are."""

    transcribe: int = Field(default=0, ge=0)
    """So many of its recordings are read by Whisper's decoder, too, for a second ear."""

    count: PositiveInt = 1
    """Recordings to be made."""

    seed: int = Field(default=0, ge=0)


class DataConfig(Section):
    """All corpora of a training."""

    preset: str
    features: Kind = "encoders"
    """What training reads."""

    corpora: list[Corpus]


def load_data_config(path: Path) -> DataConfig:
    """Read the YAML file.

    Raises:
        ConfigError: naming the key that is wrong.
    """
    return validate(DataConfig, read_yaml(path), path.name)
