"""From `salmonn-live serve` to ready, everything cached: presets in turn, medians.

    python -m bench.start [--presets nano small] [--runs 5] [--json FILE]

Ready is when /readyz says so. One start of each comes before, to warm the system's file cache.
"""

import statistics
import time
import urllib.error

from bench.common import keep, parser, show
from bench.target import Target, server


def ready(target: Target) -> None:
    """Wait until it is."""
    while True:
        try:
            target.get("/readyz")
            return
        except (OSError, urllib.error.HTTPError):
            time.sleep(0.02)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--presets", nargs="+", default=["nano", "small"], help="who starts")
    options.add_argument("--runs", type=int, default=5, help="starts of each")
    chosen = options.parse_args()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in chosen.presets}
    for run in range(chosen.runs + 1):
        for name, times in found.items():
            begin = time.perf_counter()
            with server(name, "preset: tiny\n") as target:
                ready(target)
                took = time.perf_counter() - begin
                if run:
                    times.append((took, target.resident_mb()))
    rows = [
        {"preset": name, "starts": len(times), "median, s": statistics.median(t for t, _ in times),
         "slowest, s": max(t for t, _ in times),
         "resident then, MB": statistics.median(mb for _, mb in times)}
        for name, times in found.items()
    ]  # fmt: skip
    show("From the command to ready", rows)
    keep(chosen, {"rows": rows})


if __name__ == "__main__":
    main()
