"""`--folds 5` of the command train: cross-validation on all labelled rows, with mean and spread for each label."""

import copy
import hashlib
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from datasets import Dataset, concatenate_datasets

from ..comparison.training import silence
from ..data.dataset import LabelledData
from ..data.splits import deal_folds, together
from ..metrics.imbalance_metrics import rarest_shown
from ..training.trainer import WeightedFocalTrainer
from ..utils.console import console_print, text_table
from ..utils.files import finite, read_json_object, write_json
from ..utils.text import duration

_NO_MATTER = ("output_dir", "folds", "resume_from_checkpoint")

_OVERALL = ("secondary_f1_macro", "f1_macro", "mean_average_precision")  # the first where there is a primary label
_OF_LABELS = ("recall", "precision", "f1")


def cross_validate(
    data: LabelledData,
    tokens: Mapping[str, Dataset],
    args: Any,
    data_args: Any,
    given: Mapping[str, Any],
    fit: Callable[[Dataset, Dataset, Any], WeightedFocalTrainer],
) -> dict[str, Any]:
    """Train, tune and test on each fold in turn, print mean and spread, and write them to folds.json.

    The rows of all splits are dealt to the folds, stratified by label; rows that belong together are in one. A fold is
    test, the next one validation, the others training. The results of a fold are kept in `folds/`, where the same
    settings find them again.

    Args:
        data, tokens: the labelled rows, as they are and ready for the model.
        args: training arguments, with the output_dir; of the models that are trained nothing is kept.
        data_args: how many folds, and whether texts with nearly the same words belong together.
        given: the flags of the command, from which the results follow.
        fit: trains on the first rows, tunes on the second, with the arguments given.

    Returns:
        JSON-able: folds, rows, and mean and spread (standard deviation) of the metrics and of each label.
    """
    n_folds, near = data_args.folds, bool(data_args.keep_near_duplicates)
    every, rows = (concatenate_datasets([of[split] for split in data.splits]) for of in (data.splits, tokens))
    texts, labels = every["text"][:], every["labels"][:]
    groups = data.groups and pa.chunked_array([data.groups[split] for split in data.splits]).combine_chunks()
    fold = deal_folds(together(pa.array(texts), groups, near), np.array(labels), len(data.schema), n_folds, args.seed)
    settings = {name: value for name, value in given.items() if name not in _NO_MATTER}
    content = repr((settings, data.schema.to_dict(), texts, labels, fold.tolist()))
    digest = hashlib.sha256(content.encode("utf-8", "backslashreplace")).hexdigest()[:12]
    folder, seconds, done = Path(str(args.output_dir)) / "folds", [], []
    for i in range(n_folds):
        file, began, took = folder / f"{i + 1}-{digest}.json", time.perf_counter(), "done before"
        results = read_json_object(file) if file.exists() else None
        if results is None:
            roles = np.where(fold == i, 2, np.where(fold == (i + 1) % n_folds, 1, 0))
            results = _results([rows.select(np.flatnonzero(roles == role)) for role in range(3)], args, fit, folder)
            seconds.append(time.perf_counter() - began)
            left = (n_folds - 1 - i) * float(np.mean(seconds))
            took = duration(seconds[-1]) + f"; about {duration(left)} left" * (left > 0)
            if args.process_index == 0:
                write_json(file, results)
        if args.process_index == 0:
            print(f"Fold {i + 1} of {n_folds}: f1_macro {results['metrics']['f1_macro']:.3f} ({took})", flush=True)
        done.append(results)
    found = {"folds": n_folds, "rows": len(rows), **_summary(done)}
    if args.process_index == 0:
        write_json(folder.parent / "folds.json", found)
        console_print(*_message(found))
    return found


def _results(parts: Sequence[Dataset], args: Any, fit: Callable, folder: Path) -> dict[str, Any]:
    """What metrics.json would hold of a training on the first part, tuned on the second and tested on the third."""
    own = copy.copy(args)
    own.output_dir, own.disable_tqdm, own.report_to = str(folder / "unfinished"), True, []
    own.resume_from_checkpoint, own.push_to_hub = None, False
    with silence():
        trainer = fit(parts[0], parts[1], own)
        trainer.predict(parts[2])
    results = trainer.results_of("test")
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        shutil.rmtree(own.output_dir, ignore_errors=True)
    return {} if results is None else results.as_dict()


def _summary(done: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    metrics = pd.DataFrame([results["metrics"] for results in done])
    metrics = metrics[list(_OVERALL if "primary_f1" in metrics else _OVERALL[1:])]
    rows = pd.concat([pd.DataFrame(results["labels"]) for results in done])
    support, of_labels = rows.groupby("label", sort=False)["support"].sum(), rows[rows["support"] > 0].groupby("label")
    means, spreads = (getattr(of_labels[list(_OF_LABELS)], how)().T.to_dict() for how in ("mean", "std"))
    labels = [
        {"label": name, "support": int(n)}
        | {key: {"mean": mean, "spread": spreads[name][key]} for key, mean in means.get(name, {}).items()}
        for name, n in support.items()
    ]
    overall = {name: {"mean": of.mean(), "spread": of.std(), "folds": of.tolist()} for name, of in metrics.items()}
    return finite({"metrics": overall, "labels": labels})


def _message(found: Mapping[str, Any]) -> list[Any]:
    def said(value: Mapping[str, Any] | None) -> str:
        spread = "" if value is None or value["spread"] is None else f" +-{value['spread']:.2f}"
        return "-" if value is None else f"{value['mean']:.2f}{spread}"

    shown = rarest_shown(sorted(found["labels"], key=lambda row: row["support"]))
    table = [[row["label"], f"{row['support']:,}", *(said(row.get(name)) for name in _OF_LABELS)] for row in shown]
    return [
        "",
        f"Cross-validation on all {found['rows']:,} labelled rows, {found['folds']} folds, mean and standard "
        f"deviation: {', '.join(f'{name} {said(value)}' for name, value in found['metrics'].items())}. The model that "
        "is saved is trained on the splits.",
        text_table(["label (rarest first)", "support", "recall", "precision", "F1"], table),
        "",
    ]
