import pytest

from imbalance_trainer.diagnosis import (
    diagnose,
    find_low_precision,
    find_undertrained,
    find_zero_recall,
)


def evaluation(**labels):
    """labels: name=(support, predicted, true_positives, weight)."""
    keys = ("support", "predicted", "true_positives", "weight")
    return {"labels": [{"label": name, **dict(zip(keys, values, strict=True))} for name, values in labels.items()]}


ZERO, FOUND = (6, 0, 0, 10.0), (6, 3, 2, 10.0)


def test_zero_recall_waits_for_its_patience():
    assert find_zero_recall([evaluation(a=ZERO)]) == []
    (finding,) = find_zero_recall([evaluation(a=ZERO)] * 2)
    assert finding.label == "a"
    assert finding.new_weight == 15.0  # the note: 10 -> 15
    assert "0 of 6 found in the last 2 evaluations" in finding.evidence
    assert "0 to 0.39" in finding.evidence


def test_zero_recall_must_not_be_interrupted():
    assert find_zero_recall([evaluation(a=ZERO), evaluation(a=FOUND), evaluation(a=ZERO)]) == []
    assert find_zero_recall([evaluation(a=FOUND), evaluation(a=ZERO), evaluation(a=ZERO)])[0].label == "a"


def test_a_label_without_support_says_nothing():
    assert find_zero_recall([evaluation(a=(0, 4, 0, 10.0))] * 5) == []


@pytest.mark.parametrize(("weight", "raised"), [(10.0, 15.0), (15.0, 20.0), (20.0, None), (3.0, 4.5), (None, None)])
def test_the_weight_to_try_never_passes_the_cap(weight, raised):
    (finding,) = find_zero_recall([evaluation(a=(6, 0, 0, weight))] * 2, max_weight=20.0)
    assert finding.new_weight == raised


def test_zero_recall_is_told_rarest_first():
    found = find_zero_recall([evaluation(common=(60, 0, 0, 1.0), rare=(3, 0, 0, 10.0))] * 3)
    assert [f.label for f in found] == ["rare", "common"]


@pytest.mark.parametrize(
    ("predicted", "right", "warned"), [(10, 4, True), (10, 5, False), (4, 0, False), (5, 2, True), (0, 0, False)]
)
def test_low_precision_is_under_half_of_at_least_five(predicted, right, warned):
    found = find_low_precision([evaluation(a=(9, predicted, right, 10.0))])
    assert bool(found) == warned


@pytest.mark.parametrize(("weight", "lowered"), [(10.0, 7.0), (1.2, 1.0), (1.0, None), (0.4, None), (None, None)])
def test_the_lower_weight_stops_at_one(weight, lowered):
    (finding,) = find_low_precision([evaluation(a=(9, 10, 1, weight))])
    assert finding.new_weight == (pytest.approx(lowered) if lowered else None)


def test_low_precision_is_counted_in_evaluations():
    low, fine = evaluation(a=(9, 10, 4, 1.0)), evaluation(a=(9, 10, 6, 1.0))
    assert [find_low_precision(h)[0].evaluations for h in ([low], [low, low], [low, fine, low])] == [1, 2, 1]


def test_a_label_of_which_nothing_is_found_is_not_told_to_weigh_less():
    never = evaluation(a=(6, 40, 0, 10.0))
    assert find_low_precision([never]) == []
    found = diagnose([evaluation(a=(6, 40, 0, 10.0), b=(9, 9, 9, 1.0))] * 2)
    assert [(f.kind, f.label, f.new_weight) for f in found] == [("zero_recall", "a", 15.0)]
    (over_predicted,) = find_low_precision([evaluation(a=(0, 40, 0, 10.0))])  # none is there, and 40 were predicted
    assert over_predicted.new_weight == 7.0


def hardly_learned(step):
    silent = {f"label {i}": (300 - i, 0, 0, 3.0) for i in range(9)}
    return {**evaluation(top=(900, 1500, 700, 1.0), **silent), "metrics": {"mean_average_precision": 0.1 * step}}


def test_most_of_the_common_labels_at_zero_is_no_matter_of_rarity():
    assert diagnose([hardly_learned(1)])[0].kind == "low_precision"  # once says nothing yet
    (finding,) = diagnose([hardly_learned(1), hardly_learned(2)])
    assert (finding.kind, finding.label, finding.evaluations) == ("undertrained", "", 2)
    assert "9 of 10 labels have recall 0, even 'label 0' with its 300 positives" in finding.evidence
    assert "0.100 -> 0.200" in finding.evidence


@pytest.mark.parametrize(("n_silent", "undertrained"), [(4, False), (7, False), (8, True)])
def test_a_long_tail_at_zero_is_not_undertrained(n_silent, undertrained):
    """10 labels, the rarest silent: only when half of the 5 commonest are silent too is the model to blame."""
    labels = {f"l{i}": (10 * (10 - i), 5, 0 if 10 - i <= n_silent else 5, 1.0) for i in range(10)}
    assert bool(find_undertrained([evaluation(**labels)] * 2)) == undertrained


def test_one_common_label_at_zero_is_not_undertrained():
    """Half of the commoner half is silent, but all the others are found."""
    labels = {"a": (90, 90, 80, 1.0), "b": (60, 0, 0, 3.0), "c": (9, 9, 8, 5.0), "d": (5, 5, 4, 10.0)}
    assert [f.kind for f in diagnose([evaluation(**labels)] * 2)] == ["zero_recall"]


def ranked(average_precision, mean, silent=2):
    """Four labels, the rarest `silent` of them not found, with that average precision at a share of 0.01."""
    labels = {f"l{i}": (90 - 20 * i, 9, 0 if i >= 4 - silent else 9, 3.0) for i in range(4)}
    entry = evaluation(**labels)
    for row in entry["labels"]:
        row |= {"average_precision": average_precision, "prevalence": 0.01}
    return {**entry, "metrics": {"mean_average_precision": mean}}


@pytest.mark.parametrize(
    ("average_precision", "means", "silent", "kind"),
    [
        (0.01, (0.2, 0.2), 2, "undertrained"),  # half of the labels, by chance
        (0.01, (0.2, 0.3), 1, "undertrained"),  # on its way
        (0.01, (0.2, 0.2), 1, "zero_recall"),  # it learns no more, and all but one label are found
        (0.40, (0.2, 0.3), 2, "zero_recall"),  # it ranks well
        (None, (0.2, 0.3), 2, "zero_recall"),  # with the stock Trainer that is not known
    ],
)
def test_a_label_that_ranks_by_chance_is_not_given_a_weight(average_precision, means, silent, kind):
    found = diagnose([ranked(average_precision, mean, silent) for mean in means])
    assert found[0].kind == kind
    if kind == "undertrained":
        assert "average precision 0.01 at a share of 0.01 of the rows" in found[0].evidence


def test_an_empty_history_has_no_findings():
    assert find_zero_recall([]) == find_low_precision([]) == find_undertrained([]) == diagnose([]) == []
