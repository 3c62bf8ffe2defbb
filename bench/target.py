"""A server that a bench starts, and looks at from outside."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Target:
    """A server that was started here."""

    port: int
    pid: int
    log: Path

    def log_lines(self) -> int:
        return self.log.read_text().count("\n")

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
            return str(answer.read().decode())

    def metric(self, name: str) -> float:
        """Summed over its labels."""
        lines = self.get("/metrics").splitlines()
        return sum(float(x.split()[-1]) for x in lines if re.match(rf"{name}[ {{]", x))

    def resident_mb(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def server(preset: str, settings: str) -> Iterator[Target]:
    """`salmonn-live serve` on a free port with these lines of `config.yaml`, ended with SIGTERM."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(settings)
        log = Path(folder) / "log"
        serve = ["serve", "--port", "0", "--preset", preset, "--config", str(config)]
        command = [sys.executable, "-c", "from streaming.cli import main; main()", *serve]
        with log.open("w") as stream:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=stream, text=True, cwd=ROOT
            )
        try:
            yield Target(_port(process, log), process.pid, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(120)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _port(process: "subprocess.Popen[str]", log: Path) -> int:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://[^/]*:(\d+)/", line):
            return int(found[1])
    raise SystemExit(f"the server did not start:\n{log.read_text()}")
