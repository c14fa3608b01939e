"""Run the benchmarks: `python -m benchmarks [--full] [PART ...]`; prints a table and writes var/bench.json."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.figures import Figure, save, table

PARTS = ("business", "engine", "real_input", "takeover", "convergence", "conformance")
ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    full = "--full" in sys.argv
    chosen = [word for word in sys.argv[1:] if not word.startswith("--")] or list(PARTS)
    figures: list[Figure] = []
    for part in chosen:
        print(f"{part} ...", file=sys.stderr, flush=True)
        # A process for each part, so that its peak of memory is its own.
        command = [sys.executable, "-m", f"benchmarks.{part}", *(["--full"] if full else [])]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        figures += [Figure(**row) for row in json.loads(done.stdout.strip().splitlines()[-1])]
    print(table(figures))
    save(figures, ROOT / "var" / "bench.json")


if __name__ == "__main__":
    main()
