"""Rows derived from other rows."""

from pathlib import Path

import numpy as np
import pytest

from assistant.config import ModelConfig
from assistant.llm.llm import Llm
from assistant.parts.tiny import toy_llm
from lab import manifest
from lab.corpora import derive
from lab.corpora.derive import first_sentences, genders, keywords, kinds, replies
from lab.corpora.scenes import sound_rows
from lab.features import STORE, FeatureStore, refer
from lab.manifest import Row
from lab.score import right


def test_a_reply_ends_with_a_sentence() -> None:
    reply = "Paris is the capital of France. It has 2.1 million\n people. It also"
    assert first_sentences(reply) == "Paris is the capital of France. It has 2.1 million people."
    assert first_sentences(reply, most=1) == "Paris is the capital of France."
    assert first_sentences("no end in sight") == ""


def test_short_whole_replies_become_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"a": "Yes, of course.", "b": "No", "c": "So " + "very " * 40 + "long."}
    monkeypatch.setattr(derive, "_generate", lambda llm, asked, most: [said[a[0]] for a in asked])
    model, tokenizer = toy_llm(3)
    rows = [Row(f"{t}.wav", t, text=t, key="x") for t in said]
    (found,) = replies(Llm(model, tokenizer, ["</s>"]), rows)
    assert (found.audio, found.answer, found.task, found.key) == (
        "a.wav", "Yes, of course.", "listen", "",
    )  # fmt: skip


def test_the_llm_replies_to_texts_of_any_length() -> None:
    model, tokenizer = toy_llm(3)
    tokenizer.pad_token = "</s>"
    llm = Llm(model, tokenizer, ["</s>"])
    alone = [derive._generate(llm, [text], 9)[0] for text in ("hi", "how are you")]
    assert derive._generate(llm, ["hi", "how are you"], 9) == alone
    assert derive._generate(llm, ["hi"], 9, seed=1) == derive._generate(llm, ["hi"], 9, seed=1)


def test_stories_are_long_and_about_the_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    def tell(llm: Llm, asked: list[str], most: int, seed: int) -> list[str]:
        assert asked[0].endswith("hear a dog barking.")
        return ["It " + "barked and " * 20 + "slept. The end. And", "Too short."]

    monkeypatch.setattr(derive, "_generate", tell)
    model, tokenizer = toy_llm(3)
    rows = [Row("a.wav", "", key="dog barking"), Row("b.wav", "", key="rain")]
    (found,) = derive.stories(Llm(model, tokenizer, ["</s>"]), rows)
    assert found.audio == "a.wav"
    assert found.answer.endswith("slept. The end.")
    assert (found.task, found.key) == ("audio_story_telling", "")


def test_keywords_are_the_rarest_words_in_order() -> None:
    rows = [Row("a", "", text="the red dog saw the blue cat"), Row("b", "", text="the dog the cat"),
            Row("c", "", text="blue dog saw the cat again")]  # fmt: skip
    found = list(keywords(rows))
    assert [row.audio for row in found] == ["a", "c"]
    assert found[0].answer == "red, saw, blue"
    assert found[0].key == "red;saw;blue"


def test_only_known_speakers_have_a_gender() -> None:
    rows = [Row("a", "", speaker="x"), Row("b", "", speaker="y")]
    (found,) = genders(rows, {"y": "f"})
    assert (found.audio, found.answer, found.key) == ("b", "A woman.", "woman")


def test_who_speaks_is_speech() -> None:
    (found,) = kinds([Row("a", "go on", text="go on")])
    assert (found.answer, found.key, found.task) == ("Speech.", "speech", "QA")
    assert right(found.answer, found.key)
    assert found.instruction == sound_rows("rain", "CC0", "r", "train")[-1].instruction


def test_rows_alone_share_the_features_of_another_store(
    tmp_path: Path, tiny_config: ModelConfig
) -> None:
    base = tmp_path / "base"
    base.mkdir()
    rows = [Row("a.wav", "x"), Row("b.wav", "y"), Row("b.wav", "z", task="listen")]
    manifest.write(base / "manifest.jsonl", rows)
    np.save(base / "lengths.npy", np.array([2, 3]))
    flat = np.arange(5 * 4, dtype=np.float16).reshape(5, 4)
    flat.tofile(base / "features.f16")
    (base / STORE).write_text('{"width": 4}')
    manifest.write(tmp_path / "more.jsonl", [Row("b.wav", "more"), Row("a.wav", "of a")])
    refer(tmp_path / "more.jsonl", tmp_path / "more", "base")

    store, more = FeatureStore(base), FeatureStore(tmp_path / "more")
    assert [store.length(i) for i in range(3)] == [2, 3, 3]
    assert [row.answer for row in more.rows] == ["more", "of a"]
    assert more.features(0).tolist() == store.features(2).tolist() == flat[2:].tolist()
    assert more.features(1).tolist() == flat[:2].tolist()
    manifest.write(tmp_path / "strange.jsonl", [Row("c.wav", "?")])
    refer(tmp_path / "strange.jsonl", tmp_path / "strange", "base")
    with pytest.raises(KeyError):
        FeatureStore(tmp_path / "strange")
