"""Figures: measured, printed as a table, and written for comparison."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement. target: what it should reach. baseline: what it is compared with, in the same unit."""

    name: str
    value: float
    unit: str
    target: str = ""
    baseline: float | None = None


class Stopwatch:
    """Seconds of a block, once it is over."""

    seconds: float = 0.0


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    watch = Stopwatch()
    started = time.perf_counter()
    try:
        yield watch
    finally:
        watch.seconds = time.perf_counter() - started


def peak_memory_mb() -> float:
    """The most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(figures: list[Figure]) -> str:
    rows = [("figure", "value", "unit", "target", "baseline")]
    for figure in figures:
        baseline = "" if figure.baseline is None else f"{figure.baseline:,.2f}"
        rows.append((figure.name, f"{figure.value:,.2f}", figure.unit, figure.target, baseline))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def save(figures: list[Figure], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")
