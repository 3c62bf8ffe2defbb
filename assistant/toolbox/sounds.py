"""What was heard: questions about a log of sounds."""

from collections.abc import Iterable, Sequence
from typing import Any

from assistant.ear.noticing import Sound
from assistant.rates import SAMPLE_RATE
from assistant.toolbox.durations import spoken
from assistant.toolbox.own import Moment, OwnTool, RefusedError, parameters, text
from assistant.tools.tool import Tool

ENDINGS = ("ing", "es", "ed", "s", "e")
"""Of words that are one: bark, barks, barked, barking."""

LEFT_OUT = {"a", "an", "the", "sound", "of", "any", "my", "some", "noise", "one", "person"}
"""Words that tell no sound from another."""

ANYTHING = {"", "sounds", "anything", "everything", "all", "noises"}


class Sounds:
    """The sounds that are known, and which of them words mean."""

    def __init__(self, names: Sequence[str]) -> None:
        """`names`: of the tagger's classes."""
        self._stems = {name: _stems(name) for name in names}

    def meant(self, words: str) -> list[str]:
        """Names of the classes that `words` mean, such as `dog barking` for `the dog`.

        Raises:
            RefusedError: none is known.
        """
        wanted = _stems(words)
        found = [name for name, stems in self._stems.items() if wanted and wanted <= stems]
        if not found:
            found = [name for name, stems in self._stems.items() if stems and stems <= wanted]
        if not found:  # doorbell, door bell
            joined = _joined(words)
            found = [name for name in self._stems if joined and _joined(name).startswith(joined)]
        if not found:
            raise RefusedError(f"I cannot tell the sound {words!r:.40} from others.")
        return found

    def tools(self) -> list[OwnTool]:
        """What an LLM may ask of them."""
        return [
            OwnTool(
                Tool(
                    "sounds_heard",
                    "Look up which sounds were heard, how often and how long ago.",
                    parameters(
                        sound=text("One sound, such as dog barking; left out for all sounds."),
                    ),
                ),
                self._heard,
            )
        ]

    def _heard(self, arguments: dict[str, Any], moment: Moment) -> dict[str, Any]:
        asked = arguments.get("sound", "").strip().lower()
        if asked in ANYTHING:
            names = {sound.name: None for sound in moment.sounds}
            return {"heard": [_told(name, moment.sounds, moment.at) for name in names]}
        meant = self.meant(asked)
        found = [sound for sound in moment.sounds if sound.name in meant]
        if not found:
            return {"sound": asked, "times": 0}
        names = {sound.name: None for sound in found}
        return {"heard": [_told(name, found, moment.at) for name in names]}


def _told(name: str, sounds: Iterable[Sound], now: int) -> dict[str, Any]:
    of_name = [sound for sound in sounds if sound.name == name]
    ago = spoken(max(0, now - of_name[-1].end) // SAMPLE_RATE)
    return {"sound": name, "times": len(of_name), "last": f"{ago} ago"}


def _joined(words: str) -> str:
    return "".join(c for c in words.lower() if c.isalnum())


def _stems(words: str) -> frozenset[str]:
    plain = "".join(c if c.isalnum() else " " for c in words.lower()).split()
    return frozenset(_stem(word) for word in plain if word not in LEFT_OUT)


def _stem(word: str) -> str:
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
