"""Linear baseline: TF-IDF and a linear classifier for each label, without an encoder."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_union
from sklearn.svm import LinearSVC

from ..data.splits import deal_folds
from ..decisions.rule import DecisionRule
from ..utils.constants import LINEAR_FILE
from ..utils.files import atomic_write, read_json_object, write_json
from .probe import mean_average_precision

CLASSIFIERS: dict[str, Any] = {
    "logistic regression": LogisticRegression(C=3.0, solver="liblinear"),
    "linear SVM": LinearSVC(C=0.1),
}
"""What is tried; cross-validation on the training rows chooses."""

_FOLDS = 3
_FARTHEST = 16.0
_FEW_ROWS, _MOST_PARTS = 1_000, 100_000


class LinearBaseline:
    """TF-IDF of words (1 to 2) and characters within words (2 to 5), and the better of two linear classifiers.

    A dozen lines of scikit-learn that an encoder has to beat; seconds on a CPU.

    Args:
        classifier: a name in CLASSIFIERS; None for the one that cross-validation chooses.

    Attributes:
        classifier: the name of the classifier in use.
    """

    def __init__(self, classifier: str | None = None) -> None:
        self.classifier = classifier

    def fit(self, texts: Sequence[Any], labels: np.ndarray) -> "LinearBaseline":
        """Fit to texts and labels, (rows, labels); -100 where unknown."""
        self._vectorizer = self._parts(len(texts))
        features = self._vectorizer.fit_transform(texts)
        if self.classifier is None:
            fits = {name: lambda x, y, name=name: partial(_scores, _fit(name, x, y)) for name in CLASSIFIERS}
            scores = {name: out_of_fold(features, texts, labels, fit, _FOLDS) for name, fit in fits.items()}
            self.classifier = max(scores, key=lambda name: mean_average_precision(scores[name], labels))
            self.out_of_fold = scores[self.classifier]
        self._fitted = _fit(self.classifier, features, labels)
        return self

    def logits(self, texts: Sequence[Any]) -> np.ndarray:
        """Scores of texts, (rows, labels), float32; over 0 is positive."""
        return _scores(self._fitted, self.features(texts))

    def features(self, texts: Sequence[Any]) -> Any:
        """TF-IDF of texts, (rows, features), sparse."""
        return self._vectorizer.transform(texts)

    def save(self, folder: Path, rule: DecisionRule) -> None:
        """Write the fitted model (`linear.joblib`) and how it decides (`config.json`, as of any model)."""
        config = SimpleNamespace(model_type="linear_baseline")
        rule.schema.to_config(config)
        rule.to_config(config)
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / LINEAR_FILE) as unfinished:
            joblib.dump(self, unfinished, compress=3)
        write_json(folder / "config.json", vars(config))

    @staticmethod
    def load(folder: Path) -> tuple["LinearBaseline", DecisionRule]:
        """What `save` wrote. joblib runs code that a file names: load only what comes from a source that you trust."""
        rule = DecisionRule.from_config(SimpleNamespace(**read_json_object(folder / "config.json")))
        return joblib.load(folder / LINEAR_FILE), rule

    def _parts(self, n_rows: int) -> Any:
        often = 2 if n_rows >= _FEW_ROWS else 1
        common = {"min_df": often, "sublinear_tf": True, "dtype": np.float32}
        words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\b\w+\b", **common)
        parts = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), max_features=_MOST_PARTS, **common)
        return make_union(words, parts)


def out_of_fold(
    rows: Any,
    texts: Sequence[Any],
    labels: np.ndarray,
    fit: Callable[..., Callable[[Any], np.ndarray]],
    n_folds: int = 5,
) -> np.ndarray:
    """Logits of each row by a model that was fitted to the other folds, (rows, labels).

    Equal texts are in one fold. Folds are stratified by label, the rarest first.

    Args:
        rows: what a model reads, texts or features, (rows, ...).
        texts: of the rows.
        labels: (rows, labels), -100 where unknown.
        fit: takes rows and labels, and gives what takes other rows and gives their logits.
        n_folds: folds, at most.
    """
    different, item = np.unique(np.asarray(texts, dtype=object), return_inverse=True)
    n_folds, logits = min(n_folds, len(different)), np.empty(labels.shape, dtype=np.float32)
    fold = deal_folds(item, labels, labels.shape[1], n_folds, seed=0)
    for held_out in (fold == i for i in range(n_folds)):
        logits[held_out] = fit(rows[~held_out], labels[~held_out])(rows[held_out])
    return logits


def _fit(name: str, features: Any, labels: np.ndarray) -> list[Any]:
    """A classifier for each label, or the one score of a label of which all known rows are alike."""
    fitted: list[Any] = []
    for label in labels.T:
        known = label >= 0
        positive = label[known] > 0.5
        if positive.all() or not positive.any():
            fitted.append(_FARTHEST if len(positive) and positive.all() else -_FARTHEST)
        else:
            fitted.append(clone(CLASSIFIERS[name]).fit(features[known], positive))
    return fitted


def _scores(fitted: Sequence[Any], features: Any) -> np.ndarray:
    scores = np.empty((features.shape[0], len(fitted)), dtype=np.float32)
    for i, classifier in enumerate(fitted):
        scores[:, i] = classifier if isinstance(classifier, float) else classifier.decision_function(features)
    return scores
