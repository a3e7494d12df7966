"""What `find` and `audit` find where the answers are known, with the linear baseline.

    python -m benchmarks.mining --data_root DATA

find: half of the positives of the five rarest labels are hidden in half of the rows, and 20 texts are asked about for
each. audit: a tenth of the positives of labels that have 10 to 199 are taken away, and as many are put elsewhere; 200
answers. Prints Markdown, mean and spread over seeds; docs/class-imbalance.md holds its output.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from sklearn.base import clone

from imbalance_trainer.analysis.baseline import doubtful_labels
from imbalance_trainer.cli.find import as_arrays
from imbalance_trainer.data.dataset import load_labelled_dataset
from imbalance_trainer.decisions.rule import DecisionRule
from imbalance_trainer.labels.schema import LabelSchema
from imbalance_trainer.mining.questions import Candidates
from imbalance_trainer.tuning.decisions import TuningOptions, tune_decisions
from imbalance_trainer.tuning.linear_baseline import CLASSIFIERS, LinearBaseline, out_of_fold

SEEDS, ROWS, ASKED, SUBPOOL = 3, 12_000, 20, 500


def fit(features, labels):
    """The linear baseline's classifiers, as a function from features to logits."""
    one = CLASSIFIERS["logistic regression"]
    fitted = [clone(one).fit(features[y >= 0], y[y >= 0] > 0) for y in labels.T]
    return lambda others: np.stack([classifier.decision_function(others) for classifier in fitted], axis=1)


def macro_f1(model, splits):
    """On test, thresholds tuned on validation."""
    (_, features, labels), (_, of_test, test) = splits["validation"], splits["test"]
    rule = DecisionRule(LabelSchema.from_names([f"label {i}" for i in range(labels.shape[1])]))
    rule = tune_decisions(model(features), labels, rule, TuningOptions(), n_bootstrap=0).rule
    decided, positive = np.asarray(rule.decide(model(of_test).astype(np.float32))), test > 0.5
    hits = (decided & positive).sum(0)
    return float(np.mean(2 * hits / np.maximum(decided.sum(0) + positive.sum(0), 1)))


def rankings(score, likeness, texts, rng):
    """The texts of a pool in several orders, the likeliest first, by places."""
    ranks = [np.argsort(np.argsort(-values)) for values in (score, likeness)]
    yield "random", rng.permutation(len(texts))
    yield "anchors (AnchorAL)", np.argsort(-np.where(ranks[1] < SUBPOOL, score, score.min() - 1), kind="stable")
    yield "mix of both ranks", np.argsort(-sum(1 / (60 + rank) for rank in ranks))
    of_text = dict(zip(texts, score, strict=True))
    candidates = Candidates(["a"], lambda some: np.array([[of_text[text]] for text in some]), [])
    candidates.look(((str(i), text) for i, text in enumerate(texts)), Path(tempfile.mkdtemp(), "work"), "")
    yield "find", np.array([int(row["row"]) for row in candidates.questions(ASKED)])


def find(splits, rng):
    """Of each ranking the positives among those asked about, and macro F1."""
    support = splits["train"][2].sum(0)
    rare = [i for i in np.argsort(support, kind="stable") if support[i] >= 10][:5]
    splits = {name: (*some, labels[:, rare]) for name, (*some, labels) in splits.items()}
    texts, features, labels = splits["train"]
    is_pool = rng.random(len(texts)) < 0.5
    for label in labels.T[::-1]:
        positive = rng.permutation(np.flatnonzero(label > 0))
        is_pool[positive] = np.arange(len(positive)) < len(positive) // 2
    known, pool = np.flatnonzero(~is_pool), np.flatnonzero(is_pool)
    model, asked = fit(features[known], labels[known]), {}
    scores = model(features[pool])
    for i in range(len(rare)):
        likeness = (features[pool] @ features[known[labels[known, i] > 0]].T).toarray().mean(1)
        for name, order in rankings(scores[:, i], likeness, texts[pool], rng):
            asked.setdefault(name, []).extend((row, i) for row in pool[order[:ASKED]])
    found = {"before": (0, macro_f1(model, splits))}
    for name, questions in asked.items():
        answers = np.full((len(questions), len(rare)), -100.0)
        for answer, (row, i) in zip(answers, questions, strict=True):
            answer[i] = labels[row, i]
        rows = [*known, *(row for row, _ in questions)]
        after = fit(features[rows], np.concatenate([labels[known], answers]))
        found[name] = (int((answers > 0).sum()), macro_f1(after, splits))
    return found


def audit(splits, rng):
    """What was planted, what was found, and macro F1."""
    support = splits["train"][2].sum(0)
    rare = (support >= 10) & (support < 200)
    splits = {name: (*some, labels[:, rare]) for name, (*some, labels) in splits.items()}
    texts, features, gold = splits["train"]
    given = gold.copy()
    for i, label in enumerate(gold.T):
        for value in (1, 0):
            rows = rng.permutation(np.flatnonzero(label == value))[: max(1, round(0.1 * label.sum()))]
            given[rows, i] = 1 - value
    logits = out_of_fold(features, texts, given, fit)
    wrong, missing = doubtful_labels(logits, given)
    confidence, order = np.where(given > 0, logits, -logits), []
    for i in np.argsort(given.sum(0), kind="stable"):
        doubtful = np.flatnonzero((wrong | missing)[:, i])
        order += [(row, i) for row in doubtful[np.argsort(confidence[doubtful, i], kind="stable")]]
    hits, mended = np.array([given[at] != gold[at] for at in order]), given.copy()
    for at in order[:200]:
        mended[at] = gold[at]
    of_wrong = np.array([wrong[at] for at in order])
    return {
        "planted, asked (at most 200), found": ((given != gold).sum(), min(200, len(order)), hits[:200].sum()),
        "share of errors: first 50, wrong, missing": (hits[:50].mean(), hits[of_wrong].mean(), hits[~of_wrong].mean()),
        "F1 without, with, answered": [macro_f1(fit(features, labels), splits) for labels in (gold, given, mended)],
    }


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_root", type=Path, required=True)
    flags = parser.parse_args()
    for task, name in ((find, "goemotions"), (find, "edos"), (audit, "nlupp"), (audit, "goemotions")):
        splits = {
            split: as_arrays(rows) for split, rows in load_labelled_dataset(flags.data_root / name).splits.items()
        }
        some = np.random.default_rng(0).permutation(len(splits["train"][0]))[:ROWS]
        splits["train"] = tuple(part[some] for part in splits["train"])
        words = LinearBaseline(classifier="logistic regression").fit(splits["train"][0], np.zeros((len(some), 1)))
        splits = {split: (texts, words.features(texts), labels) for split, (texts, labels) in splits.items()}
        runs = [task(splits, np.random.default_rng(seed)) for seed in range(SEEDS)]
        print(f"\n{task.__name__}, {name}", flush=True)
        for key in runs[0]:
            values = np.array([run[key] for run in runs], dtype=float)
            cells = [f"{mean:.3g} ± {std:.2g}" for mean, std in zip(values.mean(0), values.std(0), strict=True)]
            print(f"| {key} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
