"""How the speed benchmarks measure: by turns in one process, medians, against a floor, and each against a target."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch


@dataclass(frozen=True)
class Ratio:
    """What was measured against something else.

    Args:
        case: what was measured, and on what.
        beside: what it is measured against.
        value: the ratio.
        target: what it should be, None where there is no target.
        at_most: whether it should be at most that, rather than at least.
        ours: what stood over the bar, in words, such as "12.1 ms".
        why: why the target cannot be met, from an analysis of what is the least that it takes; such a miss is no
            failure of --check.
    """

    case: str
    beside: str
    value: float
    target: float | None = None
    at_most: bool = True
    ours: str = ""
    why: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the target is met; True without one."""
        return self.target is None or (self.value <= self.target if self.at_most else self.value >= self.target)

    def row(self) -> str:
        """A row of the table."""
        wanted = "" if self.target is None else f"{'at most' if self.at_most else 'at least'} {self.target:,g}"
        missed = f"**missed**{': ' * bool(self.why)}{self.why}"
        verdict = "" if self.target is None else "met" if self.is_met else missed
        return f"| {self.case} | {self.ours} | {self.beside} | {self._in_words()} | {wanted} | {verdict} |"

    def _in_words(self) -> str:
        return f"{self.value:,.0f}" if self.value >= 100 else f"{self.value:.3g}"


HEADER = "| what | ours | beside | ratio | target | |\n|---|---|---|---|---|---|"


def by_turns(
    calls: Mapping[str, Callable[[], Any]], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """The median seconds of each call: A B A B, after a round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            start = clock()
            call()
            if turn:
                times[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def copy_seconds(n_bytes: int) -> float:
    """How long reading or writing so many bytes takes at the bandwidth of a copy, which does both."""
    source = torch.zeros(1 << 25)
    target = torch.empty_like(source)
    seconds = by_turns({"copy": lambda: target.copy_(source)}, 7)["copy"]
    return n_bytes * seconds / (2 * source.nbytes)


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Bytes by which this process grew at most meanwhile, put into the list that it gives; on Linux alone."""
    grown: list[int] = []
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    can = reset.exists()
    if can:
        reset.write_text("5")  # the peak begins anew
    before = _kib(status, "VmRSS") if can else 0
    yield grown
    if can:
        grown.append(1024 * (_kib(status, "VmHWM") - before))


def _kib(status: Path, name: str) -> int:
    return int(next(line for line in status.read_text().splitlines() if line.startswith(name)).split()[1])


def machine() -> str:
    """What it ran on, in a line."""
    names = ("torch", "numpy", "transformers", "datasets", "scikit-learn", "pyarrow")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    processor = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    return (
        f"{processor}, {os.cpu_count()} cores, {torch.get_num_threads()} threads; Python {platform.python_version()}, "
        f"{versions}"
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def ms(seconds: float) -> str:
    """Seconds in words."""
    return f"{seconds:,.1f} s" if seconds >= 1 else f"{seconds * 1e3:,.3g} ms"


def made_up_labels(n_rows: int, n_labels: int, seed: int = 0) -> np.ndarray:
    """Multi-hot labels, int8, of prevalence from 0.3 down to 0.002."""
    rng, labels = np.random.default_rng(seed), np.empty((n_rows, n_labels), np.int8)
    prevalence = np.geomspace(0.3, 0.002, n_labels)
    for start in range(0, n_rows, 100_000):
        block = labels[start : start + 100_000]
        block[:] = rng.random(block.shape, np.float32) < prevalence
    return labels


def multi_hot_column(labels: np.ndarray) -> pa.Array:
    """Labels as the lists of an Arrow column."""
    n_rows, n_labels = labels.shape
    return pa.ListArray.from_arrays(np.arange(n_rows + 1, dtype=np.int32) * n_labels, pa.array(labels.ravel()))


def made_up_scores(n_rows: int, n_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits with ties, fp32, and labels."""
    labels, logits = made_up_labels(n_rows, n_labels), np.empty((n_rows, n_labels), np.float32)
    rng = np.random.default_rng(1)
    for start in range(0, n_rows, 20_000):
        block = labels[start : start + 20_000]
        logits[start : start + 20_000] = np.round(rng.standard_normal(block.shape, np.float32) + 2 * block - 3, 3)
    return logits, labels
