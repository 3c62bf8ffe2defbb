"""Memory that is not needed goes back to the system, and nothing is lost with it."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from assistant.memory import forget, trim

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def resident(path: Path) -> int:
    """Kilobytes of a mapped file that this process holds in memory."""
    total, counts = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            counts = line.endswith(str(path))
        elif counts and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


@LINUX
def test_a_mapped_array_is_read_again_when_it_was_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "numbers.bin"
    numbers = np.arange(1_000_000, dtype=np.int32)
    numbers.tofile(path)
    mapped = np.memmap(path, np.int32, "r")
    assert np.array_equal(mapped, numbers)
    assert resident(path) >= 3900
    forget(mapped)
    assert resident(path) == 0
    assert np.array_equal(mapped, numbers)


def test_what_is_in_memory_is_not_forgotten() -> None:
    numbers = np.arange(100_000)
    forget(numbers)
    forget(numbers[5:])
    assert numbers.tolist() == [*range(100_000)]


@LINUX
def test_freed_memory_goes_back() -> None:
    code = (
        "from assistant.memory import trim; from pathlib import Path\n"
        "own = lambda: int(Path('/proc/self/statm').read_text().split()[1]) * 4096\n"
        "held = [bytearray(100_000) for _ in range(1000)]; last = bytearray(100_000)\n"
        "del held; before = own(); trim(); print(before - own())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    assert int(done.stdout) > 50_000_000
    trim()
