"""PulseAudio as a sound card for tests: its microphone hears what is played."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clients.needs import program

ALSA = """
pcm.!default { type pulse }
ctl.!default { type pulse }
"""
PATIENCE_S = 60.0


class SoundCard:
    """A running PulseAudio that no other program uses."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.environment = environment
        """For programs that shall hear it."""

        self._home = home

    def play(self, wav: Path) -> None:
        """Play a recording to its end."""
        command = [program("paplay", "pulseaudio-utils"), "--device=room", str(wav)]
        subprocess.run(command, env=self.environment, check=True, timeout=120)

    def is_ready(self) -> bool:
        """Whether programs can use it."""
        command = [program("pactl", "pulseaudio-utils"), "get-default-source"]
        answer = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        return answer.stdout.strip() == "room.monitor"


@contextmanager
def sound_card(home: Path) -> Iterator[SoundCard]:
    """A sound card, its settings in a home of its own."""
    pulseaudio = program("pulseaudio", "pulseaudio")
    (home / ".asoundrc").write_text(ALSA)
    script = home / "card.pa"
    script.write_text(
        f"load-module module-native-protocol-unix auth-anonymous=1 socket={home / 'pulse'}\n"
        "load-module module-null-sink sink_name=room rate=48000\n"
        "set-default-sink room\n"
        "set-default-source room.monitor\n"
    )
    environment = {
        **os.environ,
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "PULSE_RUNTIME_PATH": str(home),
        "PULSE_SERVER": f"unix:{home / 'pulse'}",
    }
    command = [pulseaudio, "-n", "-F", str(script), "--exit-idle-time=-1", "--use-pid-file=no"]
    command += ["--daemonize=no", "--disallow-exit", "--log-target=stderr"]
    log = (home / "pulse.log").open("w")
    running = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    card = SoundCard(home, environment)
    try:
        give_up = time.monotonic() + PATIENCE_S
        while not card.is_ready():
            assert running.poll() is None, (home / "pulse.log").read_text()
            assert time.monotonic() < give_up, (home / "pulse.log").read_text()
            time.sleep(0.1)
        yield card
    finally:
        running.terminate()
        running.wait()
        log.close()
