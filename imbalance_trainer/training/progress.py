"""The progress callbacks of transformers without the metrics that RareLabelCallback prints as a table."""

from collections.abc import Sequence
from typing import Any

from transformers import TrainerCallback

from ..monitor.run_files import MARKER, metric_prefix
from .callbacks import RareLabelCallback

_PROGRESS = ("ProgressCallback", "PrinterCallback", "NotebookProgressCallback")


class _TerseLogs:
    """Leaves the metrics of the table out of what a progress callback of transformers prints.

    Args:
        metric_names: names of the metrics that are left out.
        callbacks: the trainer's callbacks, a list that it keeps up to date. Without a table nothing is left out.
    """

    def __init__(self, metric_names: Sequence[str], callbacks: list[TrainerCallback]) -> None:
        super().__init__()
        self._metric_names, self._callbacks = metric_names, callbacks

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        few, prefix = self._without_ours(logs)
        timing = ("runtime", "samples_per_second", "steps_per_second", "loss", "model_preparation_time")
        if prefix is None or set(few) - {"epoch", *(f"{prefix}_{name}" for name in timing)}:
            super().on_log(args, state, control, logs=few, **kwargs)  # type: ignore[misc]  # of the other base class

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        few, prefix = self._without_ours(metrics)
        if prefix is not None:  # a notebook's table has a column for it
            few[f"{prefix}_{MARKER}"] = (metrics or {})[f"{prefix}_{MARKER}"]
        super().on_evaluate(args, state, control, metrics=few, **kwargs)  # type: ignore[misc]

    def _without_ours(self, metrics: dict[str, Any] | None) -> tuple[dict[str, Any], str | None]:
        metrics = metrics or {}
        prefix = metric_prefix(metrics)
        if prefix is None or not any(isinstance(callback, RareLabelCallback) for callback in self._callbacks):
            return metrics, None
        ours = {f"{prefix}_{name}" for name in self._metric_names}
        return {key: value for key, value in metrics.items() if key not in ours}, prefix


def terse(callback: TrainerCallback) -> type | None:
    """The terse class that replaces a progress callback of transformers; None for any other callback."""
    kind = type(callback)  # by its name, as importing NotebookProgressCallback needs IPython
    if kind.__module__.startswith("transformers.") and kind.__name__ in _PROGRESS:
        return type(f"Terse{kind.__name__}", (_TerseLogs, kind), {})
    return None
