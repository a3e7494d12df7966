"""Runs that never were: folders as a training leaves them, with numbers that look like those of real ones."""

import json

import numpy as np

from imbalance_trainer.labels.class_weights import ClassWeights, WeightReason
from imbalance_trainer.monitor.diagnose import Finding, Settings

ELEVEN = ["hateful", "insults", "dehumanising language", "calls for exclusion", "stereotypes", "slurs",
          "threats of violence", "denial of atrocities", "praising extremist acts", "incitement to violence",
          "recruiting for extremist groups"]  # fmt: skip


def history(names, train_support, n_evaluations, seed=0, share=0.2, best=None):
    """Evaluations of labels that are learned the later, the rarer they are; the best is not the last one."""
    rng = np.random.default_rng(seed)
    train = np.asarray(train_support)
    support = np.maximum(rng.binomial(train, share), (train > 4).astype(int))
    skill = np.clip(np.log10(train + 1) / 4, 0.02, 0.95)
    best = n_evaluations - 2 if best is None else best
    weight = np.clip(np.sqrt(train.max() / np.maximum(train, 1)), 1, 20)
    entries = []
    for e in range(n_evaluations):
        learned = 1 - np.exp(-2.5 * (e + 1) / n_evaluations)
        drop = 0.06 if e > best else 0.0
        chance = np.clip(
            skill * learned * rng.uniform(0.85, 1.1, len(names)) - drop - (train < 30) * (0.4 - 0.3 * learned), 0, 1
        )
        found = rng.binomial(support, chance)
        predicted = found + rng.binomial(np.maximum(support, 3), np.clip(0.6 - 0.4 * learned, 0, 1))
        rows = [_row(*values, rng) for values in zip(names, train, support, found, predicted, weight, strict=True)]
        f1 = float(np.mean([row["f1"] for row in rows]))
        step = 120 * (e + 1)
        logged = np.arange(step - 110, step + 1, 10)
        values = 0.6 * np.exp(-logged / 250) + 0.05 + rng.normal(0, 0.012, len(logged))
        losses = [list(pair) for pair in zip(logged.tolist(), values.round(4).tolist(), strict=True)]
        metrics = {"loss": round(0.3 - 0.18 * learned + drop, 4), "secondary_f1_macro": round(f1, 4),
                   "f1_macro": round(f1 * 1.08, 4), "f1_micro": round(f1 * 1.3, 4),
                   "mean_average_precision": round(f1 * 1.15, 4), "primary_f1": 0.7 + 0.1 * learned}  # fmt: skip
        entries.append({"version": 2, "split": "eval", "step": step, "epoch": float(e + 1), "metrics": metrics,
                        "train_losses": losses, "focal_gamma": 2.0, "labels": rows})  # fmt: skip
    return entries


def _row(name, train, support, found, predicted, weight, rng):
    recall, precision = found / support if support else 0.0, found / predicted if predicted else 0.0
    f1 = 2 * found / (support + predicted) if support + predicted else 0.0
    return {
        "label": name, "support": int(support), "known": 2000, "predicted": int(predicted),
        "true_positives": int(found), "recall": recall, "precision": precision, "f1": f1,
        "average_precision": min(1.0, f1 * 1.1 + 0.05) if support else None, "prevalence": int(support) / 2000,
        "threshold": 0.5, "highest_score": float(np.clip(0.3 + 0.7 * recall, 0, 0.98)),
        "found_before_closing": int(found), "best_threshold": float(rng.uniform(0.15, 0.55)) if support else None,
        "best_recall": min(1.0, recall + 0.12) if support else None,
        "best_precision": max(0.05, precision * 0.9) if support else None,
        "weight": float(weight), "train_support": int(train),
    }  # fmt: skip


def run_json(names, entries):
    rows = {row["label"]: row for row in entries[-1]["labels"]}
    top = max(row["train_support"] for row in rows.values())
    reasons = {True: "tail: 1.5 times the square root of the ratio, capped at 20", False: "head: 1"}
    labels = [
        {"label": name, "weight": rows[name]["weight"], "reason": reasons[rows[name]["weight"] > 2],
         "train_support": rows[name]["train_support"], "ratio": top / max(rows[name]["train_support"], 1)}
        for name in names
    ]  # fmt: skip
    return {
        "version": 1, "labels": labels, "n_train_rows": 10_000,
        "groups": {"primary": list(names[:1]), "secondary": list(names[1:])},
        "implications": [[name, names[0]] for name in names[1:]],
        "settings": {"loss": "focal", "focal_gamma": 2.0, "max_weight": 20.0, "learning_rate": 2e-5, "num_epochs": 5,
                     "batch_size": 16, "seed": 42, "constraint": "gold", "weight_strategy": "tiered", "fp16": False,
                     "threshold_floor": None},
        "versions": {"imbalance_trainer": "0.1.0", "transformers": "5.23.0", "torch": "2.9.0", "python": "3.12.3"},
    }  # fmt: skip


def curves_json(entry, limit=50, n_points=40, seed=0):
    rng = np.random.default_rng(seed)
    rows = sorted((row for row in entry["labels"] if row["support"]), key=lambda row: row["support"])
    curves = []
    for row in rows[: limit if len(rows) <= limit else 20]:
        n = min(n_points, row["support"]) if row["support"] else 0
        recall = np.linspace(0, 1, n + 1) if n else np.array([0.0])
        steep = 0.4 + 2 * row["recall"]
        precision = np.clip((1 - recall ** (steep + 1)) + rng.normal(0, 0.03, len(recall)), 0.02, 1)
        curves.append(
            {"label": row["label"], "recall": recall.round(4).tolist(), "precision": precision.round(4).tolist()}
        )
    return {"version": 1, "split": entry["split"], "step": entry["step"], "curves": curves}


def write_run(folder, entries, run=None, curves=None, config=None):
    """Write what is given into a folder, and give it."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(entry) + "\n" for entry in entries)
    (folder / "label_history.jsonl").write_text(text, encoding="utf-8")
    for name, content in (("run.json", run), ("precision_recall.json", curves), ("config.json", config)):
        if content is not None:
            (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


def eleven(folder):
    """Eleven labels, five epochs, everything there is."""
    entries = history(ELEVEN, [4200, 1800, 640, 420, 300, 210, 95, 61, 28, 12, 9], 5)
    return write_run(folder, entries, run_json(ELEVEN, entries), curves_json(entries[-1]))


def many(folder, n=735, n_evaluations=8):
    """Many labels with a long tail."""
    names = [f"descriptor {i:03d}, {'economic' if i % 3 else 'social'} policy" for i in range(n)]
    support = np.maximum(9000 / np.arange(1, n + 1) ** 1.2, 0).astype(int)
    entries = history(names, support, n_evaluations, seed=1)
    return write_run(folder, entries, run_json(names, entries), curves_json(entries[-1]))


FINDINGS = [
    Finding("not_learned", "recruiting for extremist groups", "error",
            "0 of 2 found at the last 3 evaluations (95% interval of recall: 0 to 0.66), average precision 0.05",
            "Raise its weight: --custom_weights '{\"recruiting for extremist groups\": 20}', or collect more examples",
            13.3, 20.0, evaluations=3),
    Finding("threshold_too_high", "praising extremist acts", "error",
            "0 of 6 found; highest score 0.41, threshold 0.50; at 0.22 recall would be 0.67, precision 0.50",
            "Tune thresholds: --tune_thresholds true", evaluations=2),
    Finding("threshold_too_high", "incitement to violence", "error",
            "0 of 3 found; highest score 0.31, threshold 0.50; at 0.18 recall would be 0.67, precision 0.40",
            "Tune thresholds: --tune_thresholds true", evaluations=2),
    Finding("over_predicted", "stereotypes", "warning", "21 of 74 predictions are right (precision 0.28)",
            "Lower its weight: --custom_weights '{\"stereotypes\": 2.6}'", 3.7, 2.6),
    Finding("overfitting", "", "warning", "eval loss lowest at step 480 (0.139), 0.195 at step 600, while training "
            "loss fell from 0.16 to 0.10", "Stop earlier: --num_train_epochs 4"),
    Finding("too_few_to_tell", "incitement to violence", "note", "3 positives here: recall may be anything from 0 to "
            "0.56"),
    Finding("improving", "", "good", "secondary_f1_macro rose at 3 of 4 evaluations"),
]  # fmt: skip
"""As they might be of the eleven."""


# ---- single evaluations, for rules ----

ZERO, FOUND = (12, 0, 0), (12, 6, 4)
"""Support, predictions and true positives of a label that is never found, and of one that is."""


def weights(**values):
    clamped = {name: value for name, value in values.items() if value > 20}
    kept = np.minimum(list(values.values()), 20.0)
    return ClassWeights(tuple(values), kept, (WeightReason("limit"),) * len(values), (), clamped)


def settings(**changes):
    return Settings(**{"class_weights": weights(a=10.0, b=1.0), "focal_gamma": 2.0, **changes})


def row(support, predicted, right, weight=10.0, **more):
    counts = {"support": support, "predicted": predicted, "true_positives": right, "weight": weight}
    return {**counts, "known": 1000, **more}


def evaluation(metrics=None, train_losses=(), epoch=None, step=0, **labels):
    """labels: name=row(...) or (support, predicted, true_positives, weight)."""
    rows = [{"label": name, **(r if isinstance(r, dict) else row(*r))} for name, r in labels.items()]
    return {"step": step, "epoch": epoch, "metrics": metrics or {}, "train_losses": list(train_losses), "labels": rows}


def kinds(findings):
    return [finding.kind for finding in findings]
