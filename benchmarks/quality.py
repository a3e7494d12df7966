"""What the trainer is worth at convergence: stock, thirty good lines, linear models and ours on real data.

    python -m benchmarks.quality --data_root DIR --model_name_or_path ENCODER [--sets nlupp goemotions edos cooking]
        [--methods stock layers_bce] [--rates 2e-4 5e-4] [--seeds 1 2 3] [--size converged|short] [--out FOLDER]
    python -m benchmarks.quality --tables [--out FOLDER]
    python -m benchmarks.quality --picture docs/pictures/steps_to_quality.png [--sets nlupp] [--out FOLDER]

Every run has the whole encoder and 16 epochs to go, with linear decay, and stops once validation's mean average
precision has not risen for 5 epochs; the best epoch is scored. Word embeddings stay as they are, batches are grouped
by length, and the encoder computes in bf16: the same for all. With the first seed a method is trained at each learning
rate, and goes on at the one that is best on validation. Runs are kept one by one under --out; a killed command goes on
there. --size short is two epochs on few rows, to see that it runs.

On a GPU, where one is lent in pieces: no run is begun after --minutes, and the same command goes on. It has not run on
one yet; --size short was tried on a CPU.

    python -m benchmarks.quality --data_root DIR --model_name_or_path ENCODER --sets nlupp goemotions --minutes 8
        --precision bf16|fp16|fp32 --methods stock thirty_lines layers_focal --out FOLDER/bf16
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, List, Value, disable_progress_bars
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import AutoModelForSequenceClassification, AutoTokenizer, EarlyStoppingCallback, Trainer, set_seed
from transformers.utils import logging

from imbalance_trainer import ImbalanceTrainingArguments, LabelSchema, WeightedFocalTrainer, load_labelled_dataset
from imbalance_trainer.cli.models import tokenized
from imbalance_trainer.comparison.measures import paired_difference
from imbalance_trainer.decisions.rule import DecisionRule
from imbalance_trainer.reports.pictures import line_chart, save
from imbalance_trainer.training.layer_head import LayerHeadForSequenceClassification
from imbalance_trainer.tuning.decisions import TuningOptions, tune_decisions
from imbalance_trainer.tuning.linear_baseline import LinearBaseline
from imbalance_trainer.tuning.probe import fit_probe, mean_average_precision
from imbalance_trainer.utils.files import write_json

SETS: dict[str, int | None] = {"nlupp": None, "goemotions": 12_000, "edos": None, "cooking": None}
"""Training rows; None for all of them."""

RATES, SEEDS = (2e-4, 5e-4), (1, 2, 3)
BATCH, MAX_LENGTH, EPOCHS, PATIENCE = 32, 64, 16, 5
_RISEN = 1e-4  # less is noise


class ThirtyLines(Trainer):
    """What a good engineer writes: sqrt pos_weight, the bias at the log-odds, a head that learns 30 times faster."""

    def __init__(self, model: Any, *args: Any, train_dataset: Dataset, **kwargs: Any) -> None:
        labels = np.array(train_dataset["labels"])
        positives = labels.sum(0).clip(0.5)
        odds = torch.tensor(positives / (len(labels) - positives).clip(0.5), dtype=torch.float32)
        self.pos_weight = odds.reciprocal().sqrt().clamp(1, 5)
        with torch.no_grad():
            model.classifier.bias.copy_(odds.log())
        super().__init__(model, *args, train_dataset=train_dataset, **kwargs)

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        """Weighted binary cross-entropy."""
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        weights = self.pos_weight.to(labels.device)
        loss = binary_cross_entropy_with_logits(outputs.logits.float(), labels, pos_weight=weights)
        return (loss, outputs) if return_outputs else loss

    def create_optimizer(self, model: Any = None) -> Any:
        """The head in a group of its own."""
        rate, head = self.args.learning_rate, self.model.classifier  # type: ignore[union-attr]
        of_head = {id(p) for p in head.parameters()}
        rest = [p for p in self.model.parameters() if p.requires_grad and id(p) not in of_head]  # type: ignore[union-attr]
        groups = [{"params": rest}, {"params": list(head.parameters()), "lr": 30 * rate}]
        self.optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=self.args.weight_decay)
        return self.optimizer


@dataclass(frozen=True)
class Method:
    """A way to train: the trainer, its options, and whether the head sees several layers."""

    trainer: Callable[..., Trainer]
    options: dict[str, Any]
    has_layers: bool = False


_BCE = {"loss": "bce", "class_weights": None, "constraint": "none"}
METHODS = {
    "stock": Method(Trainer, {}),
    "thirty_lines": Method(ThirtyLines, {}),
    "bias_focal": Method(WeightedFocalTrainer, {"head_start": "bias"}),
    "probe_focal": Method(WeightedFocalTrainer, {"head_start": "probe"}),
    "probe_bce": Method(WeightedFocalTrainer, {"head_start": "probe", **_BCE}),
    "layers_focal": Method(WeightedFocalTrainer, {"head_start": "probe"}, has_layers=True),
    "layers_bce": Method(WeightedFocalTrainer, {"head_start": "probe", **_BCE}, has_layers=True),
    "probe_asymmetric": Method(WeightedFocalTrainer, {"head_start": "probe", "loss": "asymmetric"}),
}
"""What is trained; beside them stand `linear` (LinearBaseline) and `frozen` (a probe on the encoder as it is)."""
UNTRAINED = ("linear", "frozen")


@dataclass(frozen=True)
class Data:
    """A set, in texts and in tokens."""

    texts: dict[str, Dataset]
    tokens: dict[str, Dataset]
    tokenizer: Any
    schema: Any
    encoder: str

    @classmethod
    def load(cls, folder: Path, encoder: str, n_rows: int | None) -> "Data":
        """Read, cut to n_rows training rows, and tokenize."""
        data = load_labelled_dataset(folder)
        splits = dict(data.splits)
        if n_rows is not None and n_rows < len(splits["train"]):
            splits["train"] = splits["train"].shuffle(seed=0).select(range(n_rows)).flatten_indices()
        tokenizer = AutoTokenizer.from_pretrained(encoder)
        floats = {name: rows.cast_column("labels", List(Value("float32"))) for name, rows in splits.items()}
        return cls(splits, tokenized(floats, tokenizer, MAX_LENGTH), tokenizer, data.schema, encoder)

    def labels(self, split: str) -> np.ndarray:
        """(rows, labels)."""
        return np.array(self.texts[split]["labels"], dtype=np.float32)

    def model(self, has_layers: bool) -> Any:
        """A fresh model, its word embeddings frozen."""
        kwargs = {"num_labels": len(self.schema), "problem_type": "multi_label_classification"}
        kind: Any = AutoModelForSequenceClassification
        load = LayerHeadForSequenceClassification.from_encoder if has_layers else kind.from_pretrained
        model = load(self.encoder, **kwargs)
        model.get_input_embeddings().weight.requires_grad_(False)
        return model


def train(
    data: Data, name: str, rate: float, seed: int, epochs: int, precision: str
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Train until validation stops rising; what happened, and the logits of the best epoch by split."""
    method, began = METHODS[name], time.perf_counter()
    set_seed(seed)
    model = data.model(method.has_layers)
    with tempfile.TemporaryDirectory() as folder:
        args = ImbalanceTrainingArguments(
            output_dir=folder, num_train_epochs=epochs, learning_rate=rate, seed=seed, weight_decay=0.01,
            warmup_steps=0.05, per_device_train_batch_size=BATCH, per_device_eval_batch_size=128,
            bf16=precision == "bf16", fp16=precision == "fp16", use_cpu=not torch.accelerator.is_available(),
            train_sampling_strategy="group_by_length",
            eval_strategy="epoch", save_strategy="epoch", save_total_limit=1, load_best_model_at_end=True,
            metric_for_best_model="ranked", greater_is_better=True, report_to="none", disable_tqdm=True,
            dataloader_pin_memory=False, logging_strategy="no", save_only_model=True,
        )  # fmt: skip
        trainer = method.trainer(
            model=model, args=args, train_dataset=data.tokens["train"], eval_dataset=data.tokens["validation"],
            processing_class=data.tokenizer, callbacks=[EarlyStoppingCallback(PATIENCE, _RISEN)],
            compute_metrics=lambda p: {"ranked": mean_average_precision(p.predictions, p.label_ids)},
            **({"label_schema": data.schema} | method.options if method.trainer is WeightedFocalTrainer else {}),
        )  # fmt: skip
        before = None
        if method.options.get("head_start") == "probe":
            trainer.create_optimizer = _then(trainer.create_optimizer, lambda: trainer)  # type: ignore[method-assign]
        seconds = trainer.train().metrics["train_runtime"]  # evaluation too
        before = getattr(trainer, "ranked_before", None)
        curve = [
            (entry["step"], entry["eval_ranked"]) for entry in trainer.state.log_history if "eval_ranked" in entry
        ]
        args.train_sampling_strategy = "random"  # group_by_length would have evaluation rows out of order too
        logits = {split: trainer.predict(data.tokens[split]).predictions for split in ("validation", "test")}
    values = [value for _, value in curve]
    best = int(np.argmax(values))
    found = {
        "before": before, "curve": curve, "best_step": curve[best][0], "best": values[best],
        "steps_per_epoch": curve[0][0], "still_rising": best >= epochs - 2 and len(values) == epochs,
        "seconds": round(time.perf_counter() - began), "precision": precision,
        "steps_per_second": round(curve[-1][0] / seconds, 2),
    }  # fmt: skip
    if torch.cuda.is_available():
        found["memory_gib"] = torch.cuda.max_memory_allocated() / 2**30
        torch.cuda.reset_peak_memory_stats()
    return found, logits


def _then(create: Callable[..., Any], of: Callable[[], Trainer]) -> Callable[..., Any]:
    """An optimizer's making, after which validation is scored: the probe alone."""

    def made(*args: Any) -> Any:
        optimizer, trainer = create(*args), of()
        trainer.ranked_before = trainer.evaluate()["eval_ranked"]  # type: ignore[attr-defined]
        trainer.state.log_history.clear()
        trainer.is_in_train = True
        return optimizer

    return made


def score_untrained(data: Data, name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The linear baseline, or a probe on the layers of the encoder as it is."""
    began, labels = time.perf_counter(), data.labels("train")
    if name == "linear":
        linear = LinearBaseline().fit(data.texts["train"]["text"][:], labels)
        logits = {split: linear.logits(data.texts[split]["text"][:]) for split in ("validation", "test")}
        return {"classifier": linear.classifier, "seconds": round(time.perf_counter() - began)}, logits
    model = data.model(has_layers=True).eval().to(torch.accelerator.current_accelerator() or "cpu")
    features = {split: _features(model, rows, data.tokenizer) for split, rows in data.tokens.items()}
    prior = torch.logit(torch.tensor(labels.mean(0)).clamp(1e-4, 1 - 1e-4))
    probe = fit_probe(features["train"], torch.tensor(labels), _bce, prior)
    logits = {split: (x @ probe.weight.T + probe.bias).numpy() for split, x in features.items() if split != "train"}
    return {"ridge": probe.ridge, "seconds": round(time.perf_counter() - began)}, logits


def _bce(logits: torch.Tensor, labels: torch.Tensor, reduction: str) -> torch.Tensor:
    return binary_cross_entropy_with_logits(logits, labels, reduction=reduction)


@torch.no_grad()
def _features(model: Any, rows: Dataset, tokenizer: Any) -> torch.Tensor:
    found: list[torch.Tensor] = []
    hook = model.classifier.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
    for start in range(0, len(rows), 128):
        part = {name: rows[start : start + 128][name] for name in ("input_ids", "attention_mask")}
        model(**tokenizer.pad(part, return_tensors="pt").to(model.device))
    hook.remove()
    return torch.cat(found).cpu()


def run_set(flags: argparse.Namespace, name: str) -> None:
    """Train what a set lacks, saying a line for each run."""
    is_short = flags.size == "short"
    n_rows, epochs = (1_000, 2) if is_short else (SETS[name], EPOCHS)
    data, folder = Data.load(flags.data_root / name, flags.model_name_or_path, n_rows), flags.out / flags.size / name
    folder.mkdir(parents=True, exist_ok=True)
    counted = np.logical_and.reduce([data.labels(s).sum(0) > 0 for s in ("train", "validation", "test")])
    np.savez_compressed(
        folder / "gold.npz", counted=counted, support=data.labels("train").sum(0),
        validation=data.labels("validation") > 0.5, test=data.labels("test") > 0.5,
    )  # fmt: skip

    def once(method: str, rate: float, seed: int) -> dict[str, Any]:
        file = folder / f"{method}-{rate:g}-{seed}.json"
        if not file.exists():
            if time.perf_counter() > flags.until:
                raise SystemExit(f"{flags.minutes:g} minutes are over; the same command goes on.")
            is_untrained = method in UNTRAINED
            made = (
                score_untrained(data, method)
                if is_untrained
                else train(data, method, rate, seed, epochs, flags.precision)
            )
            found, logits = made
            np.savez_compressed(file.with_suffix(".npz"), **{s: x.astype(np.float16) for s, x in logits.items()})
            scored = {s: mean_average_precision(x[:, counted], data.labels(s)[:, counted]) for s, x in logits.items()}
            write_json(file, {"method": method, "rate": rate, "seed": seed, **found, "average_precision": scored})
        found = json.loads(file.read_text())
        print(f"{name} {method} {rate:g} seed {seed}: {found['average_precision']}, {found['seconds']} s", flush=True)
        return found

    for method in flags.methods:
        if method in UNTRAINED:
            once(method, 0, 0)
            continue
        best = max(flags.rates, key=lambda rate: once(method, rate, flags.seeds[0])["best"])
        for seed in flags.seeds[1:]:
            once(method, best, seed)


# ---- tables ----

BASELINES = ("stock", "thirty_lines", "linear", "frozen")
_RARE = 100


@dataclass(frozen=True)
class Scored:
    """A run with its decisions on test, (rows, labels), at 0.5 and tuned on validation."""

    run: dict[str, Any]
    at_half: np.ndarray
    tuned: np.ndarray
    validation_f1: float


@dataclass(frozen=True)
class Results:
    """The runs of a set by method."""

    gold: np.ndarray
    counted: np.ndarray
    rare: np.ndarray
    runs: dict[str, list[Scored]]

    @classmethod
    def read(cls, folder: Path) -> "Results":
        """Tune thresholds of every run on validation, and decide test."""
        gold = np.load(folder / "gold.npz")
        rule = DecisionRule(LabelSchema.of([str(i) for i in range(len(gold["counted"]))]))
        found: dict[str, list[Scored]] = {}
        chosen = _best_rates([json.loads(file.read_text()) for file in sorted(folder.glob("*-*.json"))])
        for run in chosen:
            logits = np.load(folder / f"{run['method']}-{run['rate']:g}-{run['seed']}.npz")
            validation, test = (logits[split].astype(np.float32) for split in ("validation", "test"))
            tuning = tune_decisions(validation, gold["validation"].astype(np.float32), rule, TuningOptions(), 0)
            f1 = max(tuning.at_half["f1_macro"], tuning.held_out["f1_macro"])
            decided = (rule.decide(test), tuning.rule.decide(test))
            found.setdefault(run["method"], []).append(Scored(run, *(np.asarray(d) > 0 for d in decided), f1))
        counted = gold["counted"]
        return cls(gold["test"], counted, counted & (gold["support"] < _RARE), found)

    def cell(self, method: str, when: str, labels: np.ndarray) -> str:
        """Mean and spread over seeds."""
        whole = np.ones((1, len(self.gold)))
        values = [_macro_f1(getattr(run, when), self.gold, whole)[0, labels].mean() for run in self.runs[method]]
        return _cell(values) + self._remark(method)

    def _remark(self, method: str) -> str:
        """Whether a run still rose at its end, or never began to learn: half of what the frozen probe ranks."""
        runs = [run.run for run in self.runs[method]]
        frozen = self.runs["frozen"][0].run["average_precision"]["validation"] if "frozen" in self.runs else 0.0
        if any(run.get("best", 1.0) < frozen / 2 for run in runs):
            return " (never left its plateau)"
        return " (still rising)" if any(run.get("still_rising", False) for run in runs) else ""

    def picked(self, methods: Sequence[str]) -> str:
        """The method that is best on validation, by cross-fitted macro F1, thresholds guarded."""
        there = [method for method in methods if method in self.runs]
        return max(there, key=lambda method: np.mean([run.validation_f1 for run in self.runs[method]]))


def _best_rates(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs at the rate that is best on validation with the method's first seed."""
    first: dict[str, dict[str, Any]] = {}
    for run in sorted(runs, key=lambda run: (run["seed"], -run.get("best", 0))):
        first.setdefault(run["method"], run)
    return [run for run in runs if run["rate"] == first[run["method"]]["rate"]]


def _macro_f1(decided: np.ndarray, gold: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """F1 of each label under weights of the rows, (resamples, labels)."""
    hits, decided_sum, gold_sum = (weights @ x.astype(np.float64) for x in (decided & gold, decided, gold))
    return 2 * hits / np.maximum(decided_sum + gold_sum, 1)


def _cell(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


def tables(folder: Path) -> str:
    """Markdown: a row a method, a column a set; what ours gains; how soon it is there."""
    found = {name: Results.read(folder / name) for name in SETS if (folder / name / "gold.npz").exists()}
    methods = [m for m in (*UNTRAINED, *METHODS) if any(m in results.runs for results in found.values())]
    columns: dict[str, Callable[[Results, str], str]] = {
        "Macro F1 on test, thresholds tuned on validation": lambda r, m: r.cell(m, "tuned", r.counted),
        "Macro F1 on test, at 0.5": lambda r, m: r.cell(m, "at_half", r.counted),
        "Mean average precision on test": lambda r, m: _cell(
            [run.run["average_precision"]["test"] for run in r.runs[m]]
        ),
        f"Macro F1 of labels with under {_RARE} positives, tuned": lambda r, m: r.cell(m, "tuned", r.rare),
    }
    lines = []
    for title, cell in columns.items():
        lines += [f"| {title} | {' | '.join(found)} |", "|---|" + "---|" * len(found)]
        for m in methods:
            cells = [
                cell(r, m) if m in r.runs and (r.rare.any() or "under" not in title) else "" for r in found.values()
            ]
            lines.append(f"| {m} | {' | '.join(cells)} |")
        lines.append("")
    lines += ["| set | ours | strongest baseline | difference, tuned [95%] | at 0.5 [95%] |", "|---|---|---|---|---|"]
    lines += [_gain(name, results) for name, results in found.items()]
    lines += [
        "",
        "| set | method | before training | steps to the thirty lines' best | of | share | steps a second | GiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [line for name, results in found.items() for line in _speed(name, results)]
    return "\n".join(lines)


def _gain(name: str, results: Results) -> str:
    """Ours, of the methods with the most seeds, against the strongest baseline, both picked on validation."""
    ours = [m for m in METHODS if m not in BASELINES and m in results.runs]
    if not ours:
        return f"| {name} | not trained yet | | | |"
    most = max(len(results.runs[method]) for method in ours)
    best = results.picked([m for m in ours if len(results.runs[m]) == most])
    other, cells = results.picked(BASELINES), []
    for when in ("tuned", "at_half"):
        decided = [[getattr(run, when)[:, results.counted] for run in results.runs[m]] for m in (best, other)]
        gain = paired_difference(*decided, results.gold[:, results.counted] > 0)
        cells.append(f"{gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]")
    return f"| {name} | {best}, seeds: {most} | {other} | {' | '.join(cells)} |"


def _speed(name: str, results: Results) -> list[str]:
    """Steps until validation's average precision is that of the thirty lines at their best."""
    if "thirty_lines" not in results.runs:
        return []
    thirty = results.runs["thirty_lines"][0].run
    lines = []
    for method in METHODS:
        if method not in results.runs:
            continue
        run = results.runs[method][0].run
        before = run.get("before")
        curve = [(0, before or 0.0), *map(tuple, run["curve"])]
        step = next((step for step, value in curve if value >= thirty["best"]), None)
        there = "not reached" if step is None else f"{step:,}"
        share = "" if step is None else f"{step / thirty['best_step']:.2f}"
        said = "" if before is None else f"{before:.3f}"
        cost = f"{run.get('steps_per_second', '')} | {run.get('memory_gib', '')}"
        lines.append(f"| {name} | {method} | {said} | {there} | {thirty['best_step']:,} | {share} | {cost} |")
    return lines


def draw(folder: Path, picture: Path) -> None:
    """Validation's average precision over steps: stock, the thirty lines, our default and the head over layers."""
    shown = {"stock": "stock Trainer", "thirty_lines": "thirty good lines", "bias_focal": "default"}
    shown["layers_focal"] = "--head layers"
    series: dict[str, Any] = {}
    for method, name in shown.items():
        run = min(_best_rates([json.loads(p.read_text()) for p in folder.glob(f"{method}-*.json")]), key=_seed)
        series[name] = [*([(0, run["before"])] if run["before"] else []), *map(tuple, run["curve"])]
    save(lambda: line_chart(series, "mean average precision"), picture)


def _seed(run: dict[str, Any]) -> int:
    return run["seed"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_root", type=Path)
    parser.add_argument("--model_name_or_path")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--methods", nargs="+", default=[*UNTRAINED, *METHODS], choices=[*UNTRAINED, *METHODS])
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--size", choices=("converged", "short"), default="converged")
    parser.add_argument("--precision", choices=("bf16", "fp16", "fp32"), default="bf16")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="Begin no run after so many.")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/quality"))
    parser.add_argument("--tables", action="store_true", help="Train nothing; print what lies under --out.")
    parser.add_argument("--picture", type=Path, help="Draw validation over steps of the first set.")
    flags = parser.parse_args()
    if flags.picture is not None:
        draw(flags.out / flags.size / flags.sets[0], flags.picture)
        return
    if flags.tables:
        print(text := tables(flags.out / flags.size))
        (flags.out / flags.size / "tables.md").write_text(text + "\n", encoding="utf-8")
        return
    flags.until = time.perf_counter() + 60 * flags.minutes
    logging.set_verbosity_error()
    disable_progress_bars()
    for name in flags.sets:
        run_set(flags, name)


if __name__ == "__main__":
    main()
