"""Running a comparison: every training that is not in its record yet, a line for each, and a summary."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from ..utils.constants import MULTI_LABEL
from ..utils.errors import NonFiniteLossError
from .measures import Labels, judge
from .methods import Method
from .record import Record, Run
from .summary import Summary, summarise
from .training import Setting, check_method, train

_Key = tuple[str, float, int]


def compare(
    setting: Setting,
    methods: Sequence[Method],
    learning_rates: Sequence[float] | Mapping[str, Sequence[float]],
    seeds: Sequence[int],
    record: Record,
    say: Callable[[str], None] = print,
) -> Summary:
    """Train what is not in the record yet, and sum up.

    Args:
        setting: data, model and steps, the same for all.
        methods: stock first.
        learning_rates: with several, each method is trained with the first seed at each of them, and goes on at the
            one with the best macro F1 on validation (tuned, by cross-fitting). Or {method: its learning rates}.
        seeds: trainings of each method.
        record: where runs are kept, and found again after a kill.
        say: told of each run.

    Raises:
        UsageError: options of a method that do not fit the data, before anything is trained.
        DataError: nothing to compare on, or nothing left.
    """
    labels = _labels_of(setting)
    rates = {
        method.name: list(learning_rates[method.name] if isinstance(learning_rates, Mapping) else learning_rates)
        for method in methods
    }
    total = sum(len(of_method) + len(seeds) - 1 for of_method in rates.values())
    runner = _Runner(setting, methods, labels, record, say, total)
    for method in methods:
        for rate in rates[method.name]:
            for seed in seeds:
                record.find((method.name, rate, seed), method.in_words)
        check_method(setting, method)

    def on_validation(name: str, rate: float) -> float:
        return runner.run((name, rate, seeds[0])).values.get("validation_f1_macro", -1.0)

    for method in methods:
        for rate in rates[method.name]:
            runner.run((method.name, rate, seeds[0]))
    chosen = {name: max(rates[name], key=partial(on_validation, name)) for name in rates}
    for seed in seeds:
        for method in methods:
            runner.run((method.name, chosen[method.name], seed))
    gold = _positive(setting.splits["test"]["labels"], len(setting.schema))
    return summarise(record, [method.name for method in methods], chosen, seeds, gold, labels.counted, setting.steps)


class _Runner:
    """Trains what is missing, once, and says a line for each run."""

    def __init__(
        self,
        setting: Setting,
        methods: Sequence[Method],
        labels: Labels,
        record: Record,
        say: Callable[[str], None],
        total: int,
    ) -> None:
        self.setting, self.labels, self.record, self.say, self.total = setting, labels, record, say, total
        self.methods = {method.name: method for method in methods}
        self.seen: dict[_Key, Run] = {}
        self.seconds: list[float] = []

    def run(self, key: _Key) -> Run:
        """The run of a method, a learning rate and a seed: of the record, or trained now."""
        if key in self.seen:
            return self.seen[key]
        method = self.methods[key[0]]
        found = self.record.find(key, method.in_words)
        self.seen[key] = found or self._trained(key, method)
        if found is None:
            self.seconds.append(self.seen[key].seconds)
        self.say(self._line(self.seen[key], found is None))
        return self.seen[key]

    def _trained(self, key: _Key, method: Method) -> Run:
        try:
            trained = train(self.setting, method, key[1], key[2])
        except NonFiniteLossError as error:  # the others are worth having
            run = Run(*key, {}, 0.0, method.in_words, " ".join(str(error).split()))
            self.record.add(run)
            return run
        is_multi_label = self.setting.problem_type == MULTI_LABEL
        judged = judge(trained.validation, trained.test, trained.rule, self.labels, is_multi_label)
        run = Run(*key, judged.values, trained.seconds, method.in_words)
        self.record.add(run, judged.at_half, judged.tuned)
        return run

    def _line(self, run: Run, is_new: bool) -> str:
        start = f"[{len(self.seen)}/{self.total}] {run.method}, learning rate {run.learning_rate:g}, seed {run.seed}: "
        if run.error is not None:
            return f"{start}failed. {run.error}"
        f1 = [run.values[when]["f1_macro"] for when in ("at_half", "tuned")]
        took, rest = (f"{run.seconds:.0f} s" if is_new else "done before"), ""
        if is_new and len(self.seen) < self.total:
            rest = f"; about {_duration((self.total - len(self.seen)) * np.mean(self.seconds))} left"
        return f"{start}macro F1 {f1[0]:.3f} at 0.5, {f1[1]:.3f} tuned ({took}{rest})"


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


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
