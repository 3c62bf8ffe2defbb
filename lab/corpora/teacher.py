"""A second judge of sound labels while training: YAMNet (521 AudioSet classes), as a TFLite file.

It is not shipped. Where it hears a class that a recording is not labelled with, the two disagree,
and nothing is taught about that class there.
"""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.sound.recording import Samples, load

WINDOW = 15_600
"""Samples that it hears at once."""

HEARD = 0.15
"""A score from which on it is said to hear a class; a recording's is the largest of its windows."""

CLASSES = {
    "Animal": "animal",
    "Bird": "bird",
    "Bird vocalization, bird call, bird song": "birds singing",
    "Chirp, tweet": "birds singing",
    "Crow": "crow cawing",
    "Owl": "owl hooting",
    "Duck": "duck quacking",
    "Chicken, rooster": "bird",
    "Dog": "dog barking",
    "Cat": "cat meowing",
    "Cricket": "crickets",
    "Insect": "crickets",
    "Frog": "frog croaking",
    "Bee, wasp, etc.": "bee buzzing",
    "Fly, housefly": "bee buzzing",
    "Horse": "horse galloping",
    "Clip-clop": "horse galloping",
    "Cattle, bovinae": "cow mooing",
    "Sheep": "sheep bleating",
    "Crying, sobbing": "person crying",
    "Baby cry, infant cry": "baby crying",
    "Screaming": "person screaming",
    "Laughter": "person laughing",
    "Cough": "person coughing",
    "Sneeze": "person sneezing",
    "Breathing": "person breathing",
    "Snoring": "snoring",
    "Singing": "person singing",
    "Chatter": "crowd talking",
    "Crowd": "crowd talking",
    "Hubbub, speech noise, speech babble": "crowd talking",
    "Cheering": "crowd cheering",
    "Applause": "hands clapping",
    "Clapping": "hands clapping",
    "Walk, footsteps": "footsteps",
    "Door": "door opening",
    "Slam": "door slam",
    "Knock": "knocking",
    "Glass": "glass breaking",
    "Dishes, pots, and pans": "dishes clattering",
    "Cutlery, silverware": "dishes clattering",
    "Typing": "keyboard typing",
    "Computer keyboard": "keyboard typing",
    "Tick-tock": "clock ticking",
    "Alarm": "alarm",
    "Telephone": "phone ringing",
    "Bell": "bell ringing",
    "Church bell": "church bells",
    "Siren": "siren",
    "Rain": "rain",
    "Thunder": "thunder",
    "Wind": "wind blowing",
    "Wind noise (microphone)": "wind blowing",
    "Ocean": "sea waves",
    "Waves, surf": "sea waves",
    "Stream": "river",
    "Waterfall": "waterfall",
    "Water": "water",
    "Water tap, faucet": "running water",
    "Splash, splatter": "water splashing",
    "Drip": "water dripping",
    "Fire": "fire crackling",
    "Crackle": "fire crackling",
    "Steam": "steam hissing",
    "Vehicle": "engine",
    "Car": "car engine",
    "Car passing by": "traffic",
    "Traffic noise, roadway noise": "traffic",
    "Truck": "truck engine",
    "Boat, Water vehicle": "boat engine",
    "Aircraft": "airplane",
    "Helicopter": "helicopter",
    "Train": "train passing",
    "Rail transport": "train passing",
    "Engine": "engine",
    "Mechanical fan": "fan",
    "Hammer": "hammering",
    "Chainsaw": "chainsaw",
    "Sawing": "sawing",
    "Gunshot, gunfire": "gunshot",
    "Machine gun": "machine gun",
    "Explosion": "explosion",
    "Fireworks": "fireworks exploding",
    "Music": "music",
    "Piano": "piano",
    "Guitar": "guitar",
    "Drum": "drum",
    "Cymbal": "cymbal",
    "Violin, fiddle": "violin",
    "Flute": "flute",
    "Trumpet": "trumpet",
    "Organ": "organ",
}
"""Those of its classes that ours or our families have."""


class Teacher:
    """YAMNet; needs package `ai-edge-litert`."""

    def __init__(self, folder: Path) -> None:
        """`folder` is `data/sound/teacher`."""
        from ai_edge_litert.interpreter import Interpreter

        self._model = Interpreter(str(folder / "yamnet.tflite"), num_threads=1)
        self._place = self._model.get_input_details()[0]["index"]
        self._model.resize_tensor_input(self._place, [WINDOW])
        self._model.allocate_tensors()
        self._scores = self._model.get_output_details()[0]["index"]
        with (folder / "yamnet_class_map.csv").open() as file:
            names = [row["display_name"] for row in csv.DictReader(file)]
        self._ours = [(i, CLASSES[name]) for i, name in enumerate(names) if name in CLASSES]

    def scores(self, samples: Samples) -> NDArray[np.float32]:
        """Of all 521 classes: the largest over windows that overlap by half."""
        padded = np.pad(samples, (0, max(0, WINDOW - len(samples))))
        starts = [*range(0, len(padded) - WINDOW, WINDOW // 2), len(padded) - WINDOW]
        found = []
        for start in starts:
            self._model.set_tensor(self._place, padded[start : start + WINDOW].astype(np.float32))
            self._model.invoke()
            found.append(np.asarray(self._model.get_tensor(self._scores), np.float32).reshape(-1))
        return np.asarray(np.max(found, axis=0))

    def hears(self, samples: Samples) -> list[str]:
        """Classes and families of ours that it hears."""
        scores = self.scores(samples)
        return sorted({name for i, name in self._ours if scores[i] >= HEARD})


def write_heard(folder: Path, paths: list[Path], to: Path) -> Iterator[int]:
    """Write what the teacher hears in each of `paths` as JSON, yielding how many are done."""
    teacher, heard = Teacher(folder), {}
    for done, path in enumerate(paths, 1):
        heard[str(path)] = teacher.hears(load(path))
        yield done
    to.write_text(json.dumps(heard) + "\n")


def read_heard(path: Path) -> dict[str, list[str]]:
    """What `write_heard` wrote."""
    found: dict[str, list[str]] = json.loads(path.read_text())
    return found
