from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from imbalance_trainer import ImbalanceMetrics, LabelSchema
from imbalance_trainer.decisions.rule import HIERARCHY_POLICIES, DecisionRule
from imbalance_trainer.metrics import imbalance_metrics as module
from imbalance_trainer.utils.errors import DataError, UsageError

from .test_average_precision import by_sklearn
from .test_decisions import breaks_a_rule, closed_by_hand
from .test_labels import schemas

QUICK = settings(deadline=None, max_examples=30)
PLAIN = LabelSchema(list("abcde"))
HATE = LabelSchema(
    ["hateful", "threat", "insult", "death", "spam"],
    {"primary": ["hateful"]},
    [("threat", "hateful"), ("insult", "hateful"), ("death", "threat")],
)


def multi_label_case(rows, n, seed, unknown=0.0, ties=True):
    """Logits on a grid of quarters (so that there are ties), labels with one column empty and one full at times."""
    rng = np.random.default_rng(seed)
    logits = rng.integers(-8, 9, (rows, n)) / 4 if ties else rng.normal(size=(rows, n))
    labels = (rng.random((rows, n)) < rng.choice([0.0, 0.2, 0.5, 1.0], n)).astype(np.int64)
    return logits.astype(np.float32), np.where(rng.random((rows, n)) < unknown, -100, labels)


def computed(schema, logits, labels, batch=None, **kwargs):
    metrics = ImbalanceMetrics(schema, **kwargs)
    for top in range(0, len(logits), batch or max(len(logits), 1)):
        part = slice(top, top + (batch or len(logits)))
        metrics.update(torch.tensor(logits[part]), torch.tensor(labels[part]))
    return metrics.compute()


def close_by_loop(decided, schema):
    closed = decided.copy()
    for row in closed:
        while broken := [c for c, p in schema.implication_indices if row[c] and not row[p]]:
            row[broken[0]] = False
    return closed


def scores_of(gold, decided, average="binary"):
    """Precision, recall and F1 of flat vectors or matrices; 0 where there is nothing."""
    if not gold.size:
        return 0.0, 0.0, 0.0
    return sk.precision_recall_fscore_support(gold, decided, average=average, zero_division=0)[:3]


def reference(schema, logits, labels, threshold=0.5):
    """Every multi-label metric by scikit-learn, label by label over the known rows."""
    n, names = len(schema), schema.slugs
    before = logits > np.log(threshold / (1 - np.asarray(threshold)))
    decided, known, gold = close_by_loop(before, schema), labels != -100, labels > 0.5
    tables = [(gold[known[:, i], i], decided[known[:, i], i]) for i in range(n)]
    each = np.array([scores_of(*table) for table in tables])
    support = np.array([g.sum() for g, _ in tables])
    rows = known.any(1)
    flat = gold[known], decided[known]
    micro = scores_of(*flat)
    has_rows = bool(rows.any())
    result = {
        "accuracy": sk.accuracy_score(*flat) if has_rows else 0.0,
        "subset_accuracy": ((gold == decided) | ~known)[rows].all(1).mean() if has_rows else 0.0,
        "hamming_loss": sk.hamming_loss(*flat) if has_rows else 0.0,
        "f1_micro": micro[2],
        "f1_macro": each[:, 2].mean(),
        "f1_weighted": np.average(each[:, 2], weights=support) if support.sum() else 0.0,
        "precision_micro": micro[0],
        "recall_micro": micro[1],
        "mean_average_precision": by_sklearn(logits, labels).mean(),
        "violation_rate": (close_by_loop(before, schema) != before)[rows].any(1).mean() if has_rows else 0.0,
        "violation_rate_closed": 0.0,
        "n_labels_without_recall": sum(g.any() and not (g & d).any() for g, d in tables),
        "n_labels_without_support": (support == 0).sum(),
        "n_labels_never_predicted": sum(not d.any() for _, d in tables),
    }
    if schema.primary:
        p = list(schema.primary)
        flat = gold[:, p][known[:, p]], decided[:, p][known[:, p]]
        accuracy = sk.accuracy_score(*flat) if flat[0].size else 0.0
        values = accuracy, *scores_of(*flat)
        keys = ("primary_accuracy", "primary_precision", "primary_recall", "primary_f1")
        result |= dict(zip(keys, values, strict=True))
    counted = (gold & known)[:, list(schema.primary)].any(1) if schema.primary else np.ones(len(gold), bool)
    tables = [(gold[k, i], decided[k, i]) for i in schema.secondary for k in [known[:, i] & counted]]
    each_secondary = [scores_of(*table)[2] for table in tables]
    micro = scores_of(*(np.concatenate(parts) for parts in zip(*tables, strict=True)))
    keys = ("secondary_precision", "secondary_recall", "secondary_f1_micro")
    result |= dict(zip(keys, micro, strict=True)) | {"secondary_f1_macro": np.mean(each_secondary)}
    for tier, members in zip(
        ("head", "medium", "tail"), np.array_split(np.argsort(support, kind="stable")[::-1], 3), strict=True
    ):
        result[f"f1_{tier}"] = each[members, 2].mean() if members.size else 0.0
    for i, slug in enumerate(names):
        values = (*each[i], support[i])
        result |= dict(zip([f"{m}_{slug}" for m in ("precision", "recall", "f1", "support")], values, strict=True))
    return result


# ---- multi-label ----


@QUICK
@given(
    st.integers(1, 30), st.sampled_from([0.0, 0.3, 0.9, 1.0]), st.sampled_from([0.5, 0.3, 0.82]), st.integers(0, 9999)
)
@example(1, 0.0, 0.5, 0)
@example(1, 1.0, 0.5, 0)
@example(10, 0.0, 0.5, 97)  # equal logits whose sigmoids differ in the last bit
@pytest.mark.parametrize("schema", [PLAIN, HATE, LabelSchema(["x"]), LabelSchema(list("ab"), {"primary": ["a", "b"]})])
def test_every_metric_is_scikit_learn_s_over_the_known_entries(schema, rows, unknown, threshold, seed):
    logits, labels = multi_label_case(rows, len(schema), seed, unknown)
    if schema.secondary:
        expected = reference(schema, logits, labels, threshold)
    else:
        whole = reference(LabelSchema(schema.names), logits, labels, threshold)
        expected = {key: 0.0 if key.startswith("secondary") else value for key, value in whole.items()}
        micro = [whole[key] for key in ("precision_micro", "recall_micro", "f1_micro", "accuracy")]
        keys = ("primary_precision", "primary_recall", "primary_f1", "primary_accuracy")
        expected |= dict(zip(keys, micro, strict=True))
    assert computed(schema, logits, labels, threshold=threshold) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@QUICK
@given(schemas(), st.sampled_from(HIERARCHY_POLICIES), st.sampled_from([0.0, 0.5]), st.integers(0, 999))
def test_decisions_are_closed_in_the_way_that_was_asked_for(schema, hierarchy_policy, unknown, seed):
    logits, labels = multi_label_case(12, len(schema), seed, unknown)
    thresholds = np.random.default_rng(seed).choice([0.2, 0.5, 0.7], len(schema))
    before = logits - np.log(thresholds / (1 - thresholds)).astype(np.float32) > 0
    decided = np.array(
        [
            [name in closed_by_hand(there, schema, hierarchy_policy) for name in schema.names]
            for row in before
            for there in [{name for name, on in zip(schema.names, row, strict=True) if on}]
        ]
    )
    metrics = ImbalanceMetrics(schema, threshold=thresholds, hierarchy_policy=hierarchy_policy)
    metrics.update(logits, labels)
    result, known = metrics.compute(), labels != -100
    rows = known.any(1)
    assert metrics.table.predicted.tolist() == (decided & known).sum(0).tolist()
    assert metrics.table.true_positives.tolist() == (decided & (labels == 1)).sum(0).tolist()
    assert result["violation_rate"] == pytest.approx(
        np.array(breaks_a_rule(before, schema))[rows].sum() / max(rows.sum(), 1)
    )
    assert result["violation_rate_closed"] == 0


def test_a_rule_of_a_model_decides():
    logits, labels = multi_label_case(30, 5, 6, ties=False)
    rule = DecisionRule(HATE, [0.3, 0.4, 0.5, 0.6, 0.7], "add_parent")
    metrics = ImbalanceMetrics(HATE)
    metrics.rule = rule
    for counted in (metrics, metrics.fresh()):
        counted.update(logits, labels)
        result = counted.compute()
        assert counted.table.predicted.tolist() == rule.decide(logits).sum(0).tolist()
        expected = by_sklearn(rule.scores(logits).numpy(), labels).mean()
        assert result["mean_average_precision"] == pytest.approx(expected)


# ---- single-label and tokens ----


def single_label_case(rows, n, seed, unknown=0.0):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(rows, n)), rng.integers(0, n, rows)
    return logits.astype(np.float32), np.where(rng.random(rows) < unknown, -100, labels)


@QUICK
@given(st.integers(1, 40), st.integers(2, 7), st.sampled_from([0.0, 0.4]), st.integers(0, 9999))
def test_single_label_metrics_are_scikit_learn_s(rows, n, unknown, seed):
    logits, labels = single_label_case(rows, n, seed, unknown)
    result = computed([str(i) for i in range(n)], logits, labels)
    known = labels != -100
    gold, decided = labels[known], logits[known].argmax(1)
    if not known.any():
        assert result["accuracy"] == result["hamming_loss"] == result["f1_macro"] == 0
        return
    expected = {"accuracy": sk.accuracy_score(gold, decided), "hamming_loss": sk.hamming_loss(gold, decided)}
    expected["subset_accuracy"] = expected["accuracy"]
    kwargs = {"labels": range(n), "zero_division": 0}
    for average in ("micro", "macro", "weighted"):
        expected[f"f1_{average}"] = sk.f1_score(gold, decided, average=average, **kwargs)
    expected["precision_micro"] = sk.precision_score(gold, decided, average="micro", **kwargs)
    expected["recall_micro"] = sk.recall_score(gold, decided, average="micro", **kwargs)
    precision, recall, f1, support = sk.precision_recall_fscore_support(gold, decided, **kwargs)
    for i in range(n):
        expected |= {f"precision_{i}": precision[i], f"recall_{i}": recall[i]}
        expected |= {f"f1_{i}": f1[i], f"support_{i}": support[i]}
    softmax = np.exp(logits[known].astype(float)) / np.exp(logits[known].astype(float)).sum(1, keepdims=True)
    expected["mean_average_precision"] = by_sklearn(softmax, np.eye(n, dtype=int)[gold]).mean()
    expected["violation_rate"] = expected["violation_rate_closed"] = 0.0
    assert {key: result[key] for key in expected} == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_token_labels_are_single_labels_over_all_known_tokens(seed):
    rng = np.random.default_rng(seed)
    metrics = ImbalanceMetrics(["O", "PER", "LOC"])
    every_logit, every_label = [], []
    for length in (7, 3):  # batches are padded to lengths of their own
        logits = rng.normal(size=(4, length, 3)).astype(np.float32)
        labels = np.where(rng.random((4, length)) < 0.4, -100, rng.integers(0, 3, (4, length)))
        metrics.update(logits, labels)
        every_logit.append(logits.reshape(-1, 3))
        every_label.append(labels.reshape(-1))
    flat = computed(["O", "PER", "LOC"], np.concatenate(every_logit), np.concatenate(every_label))
    assert metrics.compute() == flat
    known = np.concatenate(every_label) != -100
    gold, decided = np.concatenate(every_label)[known], np.concatenate(every_logit)[known].argmax(1)
    assert flat["accuracy"] == pytest.approx(sk.accuracy_score(gold, decided))


@pytest.mark.parametrize("wrong", [3, -1])
def test_a_class_that_is_not_there_is_an_error(wrong):
    with pytest.raises(DataError, match=f"class {wrong}; expected 0 to 2"):
        computed(list("abc"), np.zeros((2, 3), np.float32), np.array([0, wrong]))


# ---- streaming ----


@pytest.mark.parametrize("kind", ["multi", "hate", "single"])
@pytest.mark.parametrize(("rows", "batches"), [(37, (1, 5, 36, 100)), (30_000, (7_000, 29_999))])
def test_any_batches_give_the_same_as_all_at_once(kind, rows, batches):
    case = single_label_case(rows, 5, 1, 0.2) if kind == "single" else multi_label_case(rows, 5, 1, 0.2)
    schema = HATE if kind == "hate" else PLAIN
    whole = computed(schema, *case)
    for batch in batches:
        assert computed(schema, *case, batch=batch) == pytest.approx(whole, rel=1e-12)


def test_it_is_a_compute_metrics_for_all_at_once_and_batch_by_batch():
    logits, labels = multi_label_case(20, 5, 3)
    expected = computed(PLAIN, logits, labels)
    metrics = ImbalanceMetrics(PLAIN)

    def prediction(part):  # some models return several outputs
        return SimpleNamespace(predictions=(logits[part], "hidden states"), label_ids=labels[part])

    for _ in range(2):  # each evaluation begins anew
        assert metrics(prediction(slice(None))) == expected
        assert metrics(prediction(slice(0, 7)), compute_result=False) == {}
        assert metrics(prediction(slice(7, None)), compute_result=True) == expected


@pytest.mark.parametrize("single_label", [False, True])
def test_as_a_metric_of_evaluate_it_gives_the_same(single_label):
    logits, labels = single_label_case(20, 5, 3) if single_label else multi_label_case(20, 5, 3)
    metric = ImbalanceMetrics(PLAIN).as_evaluate_metric(single_label)
    metric.add_batch(predictions=logits[:7], references=labels[:7])
    metric.add_batch(predictions=logits[7:], references=labels[7:])
    assert metric.compute() == computed(PLAIN, logits, labels)


def test_compute_may_be_read_on_the_way_and_reset_forgets():
    logits, labels = multi_label_case(20, 5, 4)
    metrics = ImbalanceMetrics(PLAIN)
    metrics.update(logits[:5], labels[:5])
    part = metrics.compute()
    metrics.update(logits[5:], labels[5:])
    metrics.compute()
    support = metrics.table.support.tolist()
    assert support == (labels > 0).sum(0).tolist()
    metrics.reset()
    assert metrics.table.support.tolist() == support  # the last result stays
    metrics.update(logits[:5], labels[:5])
    for key in ("f1_macro", "accuracy", "mean_average_precision", "secondary_recall", "violation_rate"):
        assert metrics.compute()[key] == part[key]


@pytest.mark.parametrize("schema", [PLAIN, HATE, LabelSchema([f"l {i}" for i in range(60)])])
def test_every_evaluation_has_the_same_keys_in_the_same_order_and_python_floats(schema):
    metrics, n = ImbalanceMetrics(schema), len(schema)
    results = [
        metrics(SimpleNamespace(predictions=z, label_ids=y)) for z, y in (multi_label_case(5, n, s) for s in (0, 1))
    ]
    nothing_known = np.full((2, n), -100)
    results.append(metrics(SimpleNamespace(predictions=np.zeros((2, n), np.float32), label_ids=nothing_known)))
    results.append(metrics(SimpleNamespace(predictions=np.zeros((0, n), np.float32), label_ids=np.zeros((0, n)))))
    assert {tuple(result) for result in results} == {tuple(metrics.keys())}
    assert all(type(value) is float and np.isfinite(value) for result in results for value in result.values())


@pytest.mark.parametrize(("n", "shown"), [(50, 50), (51, 20)])
def test_of_more_than_50_labels_the_20_rarest_have_metrics(n, shown):
    support = np.random.default_rng(0).permutation(n)
    names = [f"l{i}" for i in range(n)]
    logits, labels = multi_label_case(5, n, 0)
    result = computed(names, logits, labels, train_support=support)
    have = [key.removeprefix("recall_") for key in result if key.startswith("recall_l")]
    assert have == [names[i] for i in np.argsort(support)[:shown]]
    for metric in module.LABEL_METRICS:
        assert sum(key.startswith(f"{metric}_l") for key in result) == shown


def test_the_rarest_of_the_first_evaluation_stay_the_ones_shown():
    n = 60
    first = np.tril(np.ones((n, n), int))  # label 59 is the rarest
    metrics = ImbalanceMetrics([f"l{i}" for i in range(n)])
    a = metrics(SimpleNamespace(predictions=np.zeros((n, n), np.float32), label_ids=first))
    b = metrics(SimpleNamespace(predictions=np.zeros((n, n), np.float32), label_ids=first[:, ::-1].copy()))
    assert list(a) == list(b)
    assert "recall_l59" in a
    assert "recall_l0" not in a


@pytest.mark.parametrize("given", [True, False])
def test_head_medium_and_tail_follow_the_training_support(given):
    logits, labels = multi_label_case(40, 5, 8)
    support = [3, 900, 40, 40, 7] if given else None
    result = computed(PLAIN, logits, labels, train_support=support)
    f1 = sk.f1_score(labels, logits > 0, average=None, zero_division=0)
    order = np.argsort(np.array(support or labels.sum(0)), kind="stable")[::-1]
    for tier, members in (("head", order[:2]), ("medium", order[2:4]), ("tail", order[4:])):
        assert result[f"f1_{tier}"] == pytest.approx(f1[members].mean())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_logits_and_labels_of_other_types_give_the_same(dtype):
    logits, labels = multi_label_case(9, 5, 0, 0.3)
    expected = computed(HATE, logits, labels)
    metrics = ImbalanceMetrics(HATE)
    metrics.update(torch.tensor(logits).to(dtype), torch.tensor(labels).to(dtype))
    assert metrics.compute() == expected


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ((2, 4), (2, 4), "logits for 4 labels; the schema has 5"),
        ((2, 5), (2, 4), r"\(2, 4\) do not fit"),
        ((2, 5), (3,), r"\(3,\) do not fit"),
    ],
)
def test_shapes_that_do_not_fit_are_an_error(logits, labels, message):
    with pytest.raises(UsageError, match=message):
        ImbalanceMetrics(PLAIN).update(np.zeros(logits), np.zeros(labels))


def test_training_supports_of_another_number_are_an_error():
    with pytest.raises(UsageError, match="3 training supports for 5 labels"):
        ImbalanceMetrics(PLAIN, [1, 2, 3])


def test_the_table_says_what_closing_dropped_and_which_threshold_would_be_best():
    schema = LabelSchema(["parent", "child"], {}, [("child", "parent")])
    metrics = ImbalanceMetrics(schema, threshold=[0.5, 0.4])
    logits = torch.tensor([[-1.0, 2.0], [-1.0, -1.0], [2.0, 1.0], [-3.0, -3.0]])
    metrics.update(logits, torch.tensor([[1, 1], [1, 0], [1, 1], [0, 0]]))
    metrics.compute()
    table = metrics.table
    assert table.found_before_closing.tolist() == [1, 2]
    assert table.true_positives.tolist() == [1, 1]  # the child of the first row is dropped with its parent
    assert table.known.tolist() == [4, 4]
    np.testing.assert_allclose(table.threshold, [0.5, 0.4])
    np.testing.assert_allclose(table.highest_score, 1 / (1 + np.exp([-2.0, -2.0])))
    assert table.best_recall.tolist() == table.best_precision.tolist() == [1.0, 1.0]
    assert -3 < np.log(table.best_threshold[0] / (1 - table.best_threshold[0])) < -1
    assert set(table.curves) == {0, 1}


def test_in_a_single_label_problem_no_threshold_is_best():
    metrics = ImbalanceMetrics(["a", "b"])
    metrics.update(torch.tensor([[2.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 1]))
    metrics.compute()
    assert np.isnan([metrics.table.threshold, metrics.table.best_threshold, metrics.table.highest_score]).all()
    assert metrics.table.best_recall.tolist() == [0, 0]
