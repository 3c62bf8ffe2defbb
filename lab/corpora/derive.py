"""More rows about recordings that are there: the LLM's own replies, keywords, who speaks.

Replies are self-distillation: the LLM is given a transcript as text, and what it says becomes what
the ear should make it say. Hearing then costs it nothing of what it knew.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from assistant.llm.llm import Llm
from lab.corpora.scenes import KIND
from lab.corpora.sounds import phrase
from lab.manifest import Row, entries

REPLY_TOKENS = 48
"""Longest reply looked at; what is kept of it ends with a sentence."""

REPLY_WORDS = range(2, 33)
STORY_TOKENS = 140
STORY_WORDS = 30
"""Fewest words of a story."""

BATCH = 48

WHO = "Is a man or a woman speaking?"


def replies(llm: Llm, rows: list[Row]) -> Iterator[Row]:
    """For each row with speech the reply of `llm` to its text, if it is short enough to speak."""
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        asked = [f"{row.text}\nAnswer in one sentence." for row in batch]
        for row, reply in zip(batch, _generate(llm, asked, REPLY_TOKENS), strict=True):
            kept = first_sentences(reply)
            if len(kept.split()) in REPLY_WORDS:
                yield replace(row, answer=kept, key="", task="listen")


def stories(llm: Llm, rows: list[Row]) -> Iterator[Row]:
    """For each row with a sound a story of `llm` about it: long answers, each another."""
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        asked = [
            f"Write a short story of four sentences in which one can hear {phrase(row.key)}."
            for row in batch
        ]
        told = _generate(llm, asked, STORY_TOKENS, seed=start)
        for row, story in zip(batch, told, strict=True):
            kept = first_sentences(story, most=5)
            if len(kept.split()) >= STORY_WORDS:
                yield replace(row, answer=kept, key="", task="audio_story_telling", instruction="")


@torch.inference_mode()
def _generate(llm: Llm, asked: list[str], most: int, seed: int | None = None) -> list[str]:
    """Replies of at most so many tokens, all at once: greedy, or drawn with a seed."""
    if seed is not None:
        torch.manual_seed(seed)
    tokenizer = llm.tokenizer
    prompts = [f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n" for text in asked]
    tokenizer.padding_side = "left"
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
    out = llm.model.generate(
        **inputs, max_new_tokens=most, do_sample=seed is not None,
        eos_token_id=sorted(llm.stop_ids), pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    length = inputs["input_ids"].shape[1]
    return [str(t) for t in tokenizer.batch_decode(out[:, length:], skip_special_tokens=True)]


def first_sentences(reply: str, most: int = 2) -> str:
    """The whole sentences at the start of a reply, at most so many; empty if none is whole."""
    text = " ".join(reply.split())
    ends = [found.end() for found in re.finditer(r"[.!?](?=\s|$)", text)]
    return text[: ends[min(most, len(ends)) - 1]] if ends else ""


def keywords(rows: list[Row]) -> Iterator[Row]:
    """For each row of some length its three rarest words, in order."""
    counts = Counter(word for row in rows for word in row.text.split())
    for row in rows:
        words = list(dict.fromkeys(row.text.split()))
        chosen = sorted(words, key=lambda word: (counts[word], word))[:3]
        if len(words) >= 6:
            answer = ", ".join(word for word in words if word in chosen)
            yield replace(row, answer=answer, key=answer.replace(", ", ";"), task="keywords")


def genders(rows: list[Row], of_speaker: dict[str, str]) -> Iterator[Row]:
    """Whether a man or a woman speaks, for rows whose speaker is known."""
    for row in rows:
        if (gender := of_speaker.get(row.speaker)) is not None:
            answer = {"m": "A man.", "f": "A woman."}[gender]
            yield replace(row, answer=answer, key=answer[2:-1], task="gender_QA", instruction=WHO)


def kinds(rows: list[Row]) -> Iterator[Row]:
    """That it is speech, for rows in which somebody speaks."""
    for row in rows:
        yield replace(row, answer="Speech.", key="speech", task="QA", instruction=KIND)


def adults(folder: Path) -> dict[str, str]:
    """Gender of the grown-up speakers of speechocean762; children's voices do not tell it."""
    return {e["speaker"]: e["gender"] for e in entries(folder) if e["age"] >= 16}
