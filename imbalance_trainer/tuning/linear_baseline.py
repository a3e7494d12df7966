"""Linear baseline: TF-IDF and a linear classifier for each label, without an encoder."""

from collections.abc import Sequence
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

from ..decisions.rule import DecisionRule
from ..utils.files import atomic_write, read_json_object, write_json
from .probe import mean_average_precision

CLASSIFIERS: dict[str, Any] = {
    "logistic regression": LogisticRegression(C=3.0, solver="liblinear"),
    "linear SVM": LinearSVC(C=0.1),
}
"""What is tried; cross-validation on the training rows chooses."""

LINEAR_FILE = "linear.joblib"

_FOLDS = 3
_FARTHEST = 16.0
_FEW_ROWS, _MOST_PARTS = 1_000, 100_000


class LinearBaseline:
    """TF-IDF of words (1 to 2) and characters within words (2 to 5), and the better of two linear classifiers.

    A dozen lines of scikit-learn that an encoder has to beat; seconds on a CPU.

    Args:
        characters: whether parts of words count beside words.
        classifier: a name in CLASSIFIERS; None for the one that cross-validation chooses.
        seed: of the folds.

    Attributes:
        classifier: the name of the classifier in use.
    """

    def __init__(self, characters: bool = True, classifier: str | None = None, seed: int = 0) -> None:
        self.characters, self.classifier, self.seed = characters, classifier, seed

    def fit(self, texts: Sequence[Any], labels: np.ndarray) -> "LinearBaseline":
        """Fit to texts and labels, (rows, labels); -100 where unknown."""
        self._vectorizer = self._parts(len(texts))
        features = self._vectorizer.fit_transform(texts)
        if self.classifier is None:
            scores = {name: self._out_of_fold(name, features, labels) for name in CLASSIFIERS}
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

    def _out_of_fold(self, name: str, features: Any, labels: np.ndarray) -> np.ndarray:
        parts = np.random.default_rng(self.seed).permutation(features.shape[0]) % _FOLDS
        scores = np.empty(labels.shape, dtype=np.float32)
        for part in range(_FOLDS):
            scores[parts == part] = _scores(
                _fit(name, features[parts != part], labels[parts != part]), features[parts == part]
            )
        return scores

    def _parts(self, n_rows: int) -> Any:
        often = 2 if n_rows >= _FEW_ROWS else 1
        common = {"min_df": often, "sublinear_tf": True, "dtype": np.float32}
        words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\b\w+\b", **common)
        if not self.characters:
            return words
        parts = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), max_features=_MOST_PARTS, **common)
        return make_union(words, parts)


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
