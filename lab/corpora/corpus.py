"""What a corpus is made of: part of a recipe."""

from typing import Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from assistant.config import Section

Split = Literal["train", "dev", "choose", "report"]
"""What recordings are for. choose: what settings and weights are chosen by. report: what figures
are of. dev: both, as it was before they were apart."""

ROWS = ("replies", "details", "stories")
"""Kinds of corpora that have no recordings of their own."""

USES: dict[str, set[str]] = {
    "synthetic": {"voices", "texts", "disguised", "live", "noisy", "count", "seed"},
    "nobody": {"count", "seed"},
    "speechocean": set(),
    "librispeech": set(),
    "keywords": set(),
    "sounds": {"count", "seed"},
    "instruments": {"count", "seed"},
    "rough": {"of", "disguised", "live", "count", "seed"},
    "joined": {"of", "count", "seed"},
    "mixtures": {"voices", "disguised", "count", "seed"},
    "replies": {"of", "count"},
    "details": {"of"},
    "stories": {"of", "count"},
    "orchestra": {"count", "seed"},
    "excerpts": {"of", "made_of", "count", "seed"},
}
"""The keys that each kind of corpus takes, besides `kind`, `split` and `transcribe`."""

SPLITS: dict[str, set[Split]] = {
    "librispeech": {"train"},
    "keywords": {"train"},
    "rough": {"train"},
    "joined": {"train"},
    "replies": {"train"},
    "details": {"train"},
    "stories": {"train"},
    "instruments": {"train", "dev"},
    "orchestra": {"train"},
    "excerpts": {"train", "choose", "report"},
}
"""The splits that a kind of corpus has, where it does not have all."""


class CorpusConfig(Section):
    """One corpus to be made."""

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
    """rough, joined, replies, details, stories, excerpts: the corpora taken from."""

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

    split: Split = "train"
    """synthetic: which texts; speechocean: which speakers; sounds: which source recordings, those
    of other splits than train as they are; mixtures: which texts and sounds; excerpts: what the
    library keeps for it, as it is, if not train."""

    made_of: Literal["clips", "talk", "whole"] = "clips"
    """excerpts: clips: one or two, or none. talk: one with speech before it, and some after it,
    too. whole: the clips as they are."""

    transcribe: NonNegativeInt = 0
    """So many of its recordings are read by Whisper's decoder, too, for a second ear."""

    count: PositiveInt = 1
    """Recordings to be made."""

    seed: NonNegativeInt = 0

    @model_validator(mode="after")
    def _only_what_the_kind_takes(self) -> Self:
        strange = self.model_fields_set - {"kind", "split", "transcribe"} - USES[self.kind]
        if strange:
            raise ValueError(f"{', '.join(sorted(strange))}: not a key of kind {self.kind}")
        if self.split not in SPLITS.get(self.kind, {self.split}):
            raise ValueError(f"split: kind {self.kind} has none for {self.split}")
        if self.live and self.kind == "synthetic" and not self.noisy:
            raise ValueError("live: of kind synthetic only where noisy")
        if self.kind in (*ROWS, "rough") and len(self.of) != 1:
            raise ValueError(f"of: kind {self.kind} takes from one corpus")
        if self.kind in ROWS and self.transcribe:
            raise ValueError(f"transcribe: kind {self.kind} has no recordings of its own")
        return self
