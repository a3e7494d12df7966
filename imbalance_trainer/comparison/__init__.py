"""Methods compared on the user's own data: the same splits, steps and seeds for all.

`compare` runs what is missing (`training`), keeps each run (`record`), and sums up (`summary`).
"""

from collections.abc import Callable, Sequence

import numpy as np

from .measures import Labels, judge
from .methods import DEFAULT, STOCK, Method, read_methods
from .record import Record, Run
from .summary import Summary, summarise
from .training import Setting, train

__all__ = ["DEFAULT", "STOCK", "Method", "Record", "Run", "Setting", "Summary", "compare", "read_methods", "run_keys"]


def run_keys(
    methods: Sequence[Method], learning_rates: Sequence[float], seeds: Sequence[int]
) -> list[tuple[str, float, int]]:
    """The runs that are certain: each method at each learning rate with the first seed. With one rate, with all seeds;
    with several, the other seeds follow at the best of them."""
    some = seeds if len(learning_rates) == 1 else seeds[:1]
    return [(method.name, rate, seed) for seed in some for method in methods for rate in learning_rates]


def compare(
    setting: Setting,
    methods: Sequence[Method],
    learning_rates: Sequence[float],
    seeds: Sequence[int],
    record: Record,
    say: Callable[[str], None] = print,
) -> Summary:
    """Train what is not in the record yet, and sum up.

    Args:
        setting: data, model and steps, the same for all.
        methods: stock first.
        learning_rates: with several, each method is trained with the first seed at each of them, and goes on at the
            one with the best macro F1 on validation (tuned, by cross-fitting).
        seeds: trainings of each method.
        record: where runs are kept, and found again after a kill.
        say: told of each run.
    """
    labels = _labels_of(setting)
    by_name = {method.name: method for method in methods}
    total = len(methods) * (len(learning_rates) + len(seeds) - 1)
    clock = _Clock(total, record, say)

    def run(key: tuple[str, float, int]) -> Run:
        if key not in record.runs:
            name, rate, seed = key
            trained = train(setting, by_name[name], rate, seed)
            is_multi_label = np.asarray(trained.test.labels).ndim == 2
            judged = judge(trained.validation, trained.test, trained.rule, labels, is_multi_label)
            record.add(Run(name, rate, seed, judged.values, trained.seconds), judged.at_half, judged.tuned)
            clock.done(record.runs[key], is_new=True)
        else:
            clock.done(record.runs[key], is_new=False)
        return record.runs[key]

    first = {key: run(key) for key in run_keys(methods, learning_rates, seeds)}
    chosen = {
        method.name: max(
            learning_rates,
            key=lambda rate, name=method.name: first[name, rate, seeds[0]].values["validation_f1_macro"],
        )
        for method in methods
    }
    for seed in seeds:
        for method in methods:
            key = (method.name, chosen[method.name], seed)
            if key not in first:
                run(key)
    gold = _positive(setting.splits["test"]["labels"], len(setting.schema))
    return summarise(record, [method.name for method in methods], chosen, seeds, gold, labels.counted)


def _labels_of(setting: Setting) -> Labels:
    supports = [
        _positive(setting.splits[name]["labels"], len(setting.schema)).sum(0)
        for name in ("train", "validation", "test")
    ]
    return Labels.of(*supports)


def _positive(labels: object, n_labels: int) -> np.ndarray:
    """(rows, labels), boolean, of multi-hot labels or of classes."""
    array = np.array(labels)
    return array > 0.5 if array.ndim == 2 else array[:, None] == np.arange(n_labels)


class _Clock:
    """A line for each run, and how long the rest will take."""

    def __init__(self, total: int, record: Record, say: Callable[[str], None]) -> None:
        self.total, self.record, self.say = total, record, say
        self.n_done, self.seconds = 0, []

    def done(self, run: Run, is_new: bool) -> None:
        self.n_done += 1
        if is_new:
            self.seconds.append(run.seconds)
        f1 = [run.values[when]["f1_macro"] for when in ("at_half", "tuned")]
        took = f"{run.seconds:.0f} s" if is_new else "done before"
        rest = ""
        if is_new and self.n_done < self.total:
            rest = f"; about {_duration((self.total - self.n_done) * np.mean(self.seconds))} left"
        self.say(
            f"[{self.n_done}/{self.total}] {run.method}, learning rate {run.learning_rate:g}, seed {run.seed}: "
            f"macro F1 {f1[0]:.3f} at 0.5, {f1[1]:.3f} tuned ({took}{rest})"
        )


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
