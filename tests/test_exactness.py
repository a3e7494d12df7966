"""The same update however its batch is cut up, and the same evaluation: gradient and logged loss to 1e-6, in fp32."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.exactness import SCHEMA, Case, deviation, in_two_processes, make_rows, make_trainer, measure
from imbalance_trainer.losses import LOSSES

TOLERANCE = 1e-6

PROBLEMS = [
    Case(kind=kind, masked=masked, smoothing=smoothing)
    for kind in ("multi-label", "single-label")
    for masked in (False, True)
    for smoothing in (0.0, 0.1)
]
BY_LOSS = {
    f"{name}, {kind}": Case(loss=name, kind=kind, masked=True)
    for name, cls in LOSSES.items()
    for kind in (t.removesuffix("_classification").replace("_", "-") for t in cls.problem_types)
    if name != "focal"
}
WITH_OUR_LOSS = [
    Case(trainer="loss", batch=2, steps=4, smoothing=0.1),
    Case(trainer="loss", batch=2, steps=4, masked=True, constraint="none"),
    Case(trainer="loss", batch=2, steps=4, masked=True, kind="single-label"),
]
LAYOUTS = {"micro-batches": (4, 4), "uneven micro-batches": (5, 4), "one row at a time": (1, 16)}
TWO_PROCESSES = {"two processes": (8, 1), "two processes, accumulated": (2, 4), "two processes, unevenly": (3, 3)}


def problem_id(case):
    return f"{case.kind}{', masked' * case.masked}{', smoothed' * bool(case.smoothing)}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="module")
def whole(folder):
    """The update as one batch, on one process."""

    @functools.cache
    def whole(case):
        return measure(replace(case, batch=case.rows, steps=1), folder)

    return whole


def check(result, reference):
    gradient, loss = deviation(result, reference)
    assert gradient < TOLERANCE
    assert loss < TOLERANCE


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", PROBLEMS, ids=problem_id)
def test_accumulation(case, layout, whole, folder):
    batch, steps = LAYOUTS[layout]
    check(measure(replace(case, batch=batch, steps=steps), folder), whole(case))


def test_accumulation_without_the_constraint(whole, folder):
    case = Case(constraint="none", masked=True)
    check(measure(replace(case, batch=5, steps=4), folder), whole(case))


@pytest.mark.parametrize("case", BY_LOSS.values(), ids=BY_LOSS)
def test_accumulation_with_every_loss(case, whole, folder):
    result = measure(replace(case, batch=5, steps=4), folder)
    check(result, whole(case))


@pytest.mark.parametrize("case", WITH_OUR_LOSS, ids=problem_id)
def test_the_stock_trainer_with_our_loss_makes_our_update(case, whole, folder):
    check(measure(replace(case, batch=5), folder), whole(replace(case, batch=16, trainer="ours")))


@pytest.mark.parametrize("case", PROBLEMS, ids=problem_id)
def test_the_one_batch_is_what_the_formula_says(case, whole):
    """In float64, with torch's autograd through a loop over rows: the reference of all others."""
    trainer = make_trainer(case, "unused")
    model, rows = trainer.model.double().eval(), make_rows(case.rows, case.kind, case.masked)
    weights = torch.tensor(trainer.imbalance.class_weights.values)
    loss, entries, penalty, pairs = 0.0, 0, 0.0, 0
    for row in rows:
        z = model(input_ids=torch.tensor([row["input_ids"]])).logits[0]
        if case.kind == "single-label":
            if row["labels"] == -100:
                continue
            p = z.softmax(-1)
            losses = weights * (1 - p) ** 2 * -p.log()
            target = torch.full((len(z),), case.smoothing / len(z), dtype=torch.float64)
            target[row["labels"]] += 1 - case.smoothing
            loss, entries = loss + (target * losses).sum(), entries + 1
            continue
        p = z.sigmoid()
        for i, y in enumerate(row["labels"]):
            if y != -100:
                y = y * (1 - case.smoothing) + case.smoothing / 2
                positive, negative = weights[i] * (1 - p[i]) ** 2 * -p[i].log(), p[i] ** 2 * -(1 - p[i]).log()
                loss, entries = loss + y * positive + (1 - y) * negative, entries + 1
        for child, parent in SCHEMA.implication_indices:
            if row["labels"][parent] != -100:
                penalty, pairs = penalty + p[child] * (row["labels"][parent] == 0), pairs + 1
    total = loss / entries + (0.5 * penalty / pairs if pairs else 0.0)
    total.backward()
    reference = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    check(whole(case), {"gradient": reference, "loss": total.item()})


@pytest.mark.distributed
@pytest.mark.parametrize("problems", [PROBLEMS[::2], pytest.param(PROBLEMS[1::2], marks=pytest.mark.slow)])
def test_two_processes(problems, whole):
    """All in one launch, as starting two processes takes longest; with smoothed labels where it may be slow."""
    cases = {
        (problem, name): replace(case, batch=batch, steps=steps, rows=2 * batch * steps)
        for problem, case in zip(map(problem_id, problems), problems, strict=True)
        for name, (batch, steps) in TWO_PROCESSES.items()
    }
    cases |= {
        (name, ""): replace(case, batch=2, steps=4)
        for name, case in BY_LOSS.items()
        if case.loss == "logit_adjusted"  # by counts, single-label
    }
    cases |= {("stock Trainer with our loss", i): case for i, case in enumerate(WITH_OUR_LOSS)}
    results = in_two_processes(list(cases.values()))
    far = {}
    for (key, case), result in zip(cases.items(), results, strict=True):
        worst = max(deviation(result, whole(replace(case, batch=16, steps=1, trainer="ours"))))
        if not worst < TOLERANCE:
            far[key] = worst
    assert not far


@pytest.mark.slow
@pytest.mark.distributed
def test_the_last_uneven_batch_of_two_processes_is_not_exact(whole):
    """13 rows on two processes: accelerate gives rows twice to fill the batch, and no loss can know which."""
    uneven, dropped = in_two_processes([Case(rows=13, batch=7), Case(rows=13, batch=6)])
    assert deviation(uneven, whole(Case(rows=13)))[0] > 1e-3
    assert np.isfinite(dropped["loss"])


@pytest.mark.parametrize("trainer", ["stock", "mean"])
def test_what_it_is_measured_against_is_off_by_the_number_of_micro_batches(trainer, folder):
    """If this fails, transformers has mended it (huggingface/transformers#47688), and the docs are to be changed."""
    cut = measure(Case(rows=8, batch=2, steps=4, trainer=trainer), folder)
    reference = measure(Case(rows=8, batch=8, trainer=trainer), folder)
    assert (cut["gradient"].norm() / reference["gradient"].norm()).item() == pytest.approx(4.0, rel=1e-5)


# ---- evaluation ----


def evaluations(case, folder):
    """Metrics of 13 rows, however evaluation is asked for. Called in one process or in each of two."""
    results = {}
    for name, arguments in {
        "whole": {"per_device_eval_batch_size": 13},
        "batches of 4": {"per_device_eval_batch_size": 4},
        "batches of 3": {"per_device_eval_batch_size": 3},
        "batch_eval_metrics": {"per_device_eval_batch_size": 4, "batch_eval_metrics": True},
        "prediction_loss_only": {"per_device_eval_batch_size": 4, "prediction_loss_only": True},
        "eval_accumulation_steps": {"per_device_eval_batch_size": 4, "eval_accumulation_steps": 2},
    }.items():
        rows = make_rows(13, case.kind, case.masked, seed=1)
        trainer = make_trainer(case, folder, {"a": rows, "b": rows.select(range(5))}, **arguments)
        results[name] = trainer.evaluate(rows)
        results[f"{name}, one of several"] = {
            key.replace("eval_a_", "eval_"): value for key, value in trainer.evaluate().items() if "eval_a_" in key
        }
        predicted = trainer.predict(rows)
        results[f"{name}, predict"] = {k.replace("test_", "eval_"): v for k, v in predicted.metrics.items()}
    return results


def differences(results, reference):
    """The largest relative difference of each metric from those of one batch on one process."""
    off = {}
    for name, metrics in results.items():
        for key, value in reference.items():
            if key != "epoch" and not key.endswith(("runtime", "per_second", "_time")):
                off[name, key] = abs(metrics[key] - value) / max(abs(value), 1e-12)
    return off


@pytest.mark.parametrize("case", PROBLEMS[::2], ids=problem_id)
def test_evaluation_in_any_batches(case, folder):
    results = evaluations(case, folder)
    off = differences(results, results["whole"])
    assert max(off.values()) < TOLERANCE, max(off, key=off.get)


@pytest.mark.distributed
@pytest.mark.parametrize("cases", [PROBLEMS[2::4], pytest.param(PROBLEMS[::4], marks=pytest.mark.slow)])
def test_evaluation_on_two_processes(cases, folder):
    for case, results in zip(cases, in_two_processes(cases, "tests.test_exactness:evaluations"), strict=True):
        off = differences(results, evaluations(case, folder)["whole"])
        assert max(off.values()) < TOLERANCE, (problem_id(case), max(off, key=off.get))
