"""What evaluate.py shows while it measures: a progress bar for each thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress_bars(unit: str) -> Iterator[Callable[[str, int, int], None]]:
    """A function that shows a bar for each label; what begins again, as on a second catalog, gets a new one."""
    bars: dict[str, tqdm] = {}

    def report(label: str, done: int, total: int) -> None:
        if label in bars and done < bars[label].n:
            bars.pop(label).close()
        if label not in bars:
            bars[label] = tqdm(total=total, desc=label, unit=unit)
        bars[label].update(done - bars[label].n)

    try:
        yield report
    finally:
        for bar in bars.values():
            bar.close()
