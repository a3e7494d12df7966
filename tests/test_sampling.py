"""Samplers: how often rows are drawn, in the same order in every process, and in a run that is resumed."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from datasets import ClassLabel, Dataset, IterableDataset
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import BatchSampler
from transformers import RobertaForTokenClassification, TrainerCallback, TrainingArguments

from benchmarks.exactness import SCHEMA, Case, in_two_processes, make_model
from imbalance_trainer import (
    ImbalanceTrainingArguments,
    LabelSchema,
    RepeatFactorSampler,
    WeightedFocalTrainer,
)
from imbalance_trainer.training.samplers import MAX_GROWTH, rounded_at_random
from imbalance_trainer.utils.errors import DataError, UsageError

PREVALENCE = [0.4, 0.2, 0.05, 0.01]


def multi_hot(n=400, seed=0, prevalence=PREVALENCE, unknown=0.0):
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, len(prevalence))) < prevalence).astype(float)
    labels[rng.random(labels.shape) < unknown] = -100
    return labels


def factors_by_a_loop(labels, threshold, max_repeats):
    """Gupta et al. (2019), row by row and label by label."""
    factors = []
    for row in labels:
        factor = 1.0
        for column, value in enumerate(row):
            if value > 0.5:
                known = [r[column] for r in labels if r[column] != -100]
                share = sum(v > 0.5 for v in known) / len(known)
                factor = max(factor, math.sqrt(threshold / share))
        factors.append(min(factor, max_repeats))
    return factors


# ---- how often ----


@pytest.mark.parametrize("unknown", [0.0, 0.3])
@pytest.mark.parametrize("max_repeats", [1.5, 100])
def test_factors_are_those_of_a_loop(unknown, max_repeats):
    labels = multi_hot(unknown=unknown)
    labels[0], labels[1] = [0.6, 0.5, 0.4, 0.51], -100  # soft labels are there over 0.5; nothing known of a row
    sampler = RepeatFactorSampler(labels, 0.2, max_repeats)
    expected = factors_by_a_loop(labels.tolist(), 0.2, max_repeats)
    np.testing.assert_allclose(sampler.expected_draws, expected, rtol=1e-12)
    assert len(sampler) == round(sum(expected))
    mean = np.mean([f for f, row in zip(expected, labels, strict=True) if row[3] > 0.5])
    assert sampler.repeats_by_label["LABEL_3"] == pytest.approx(mean)


def test_class_indices_are_multi_hot_rows_with_one_label():
    classes = np.random.default_rng(0).choice(4, 300, p=[0.7, 0.2, 0.08, 0.02])
    single, multi = RepeatFactorSampler(classes), RepeatFactorSampler(np.eye(4)[classes])
    np.testing.assert_allclose(single.expected_draws, multi.expected_draws)
    np.testing.assert_array_equal(single.order(3), multi.order(3))
    known, unknown = RepeatFactorSampler(classes, 0.2), RepeatFactorSampler([*classes, -100, -100], 0.2)
    np.testing.assert_allclose(unknown.expected_draws, [*known.expected_draws, 1, 1])


@pytest.mark.parametrize("prevalence", [PREVALENCE, [0.5, 0.4, 0.35], [0.3, 0.01, 0.001, 0.0]])
def test_without_a_threshold_an_epoch_grows_by_a_quarter(prevalence):
    labels = multi_hot(3000, prevalence=prevalence)
    sampler = RepeatFactorSampler(labels)
    assert sampler.expected_draws.sum() <= MAX_GROWTH * 3000
    more = sampler.threshold * 1.011  # the next number of three digits
    assert more > 1 or RepeatFactorSampler(labels, more).expected_draws.sum() > MAX_GROWTH * 3000


def test_rows_are_drawn_as_often_as_expected():
    """Mean draws of 2000 epochs, each row within 5 standard errors; in each epoch within one of a row's share."""
    sampler = RepeatFactorSampler(multi_hot(), 0.3)
    counts = np.array([np.bincount(sampler.order(epoch), minlength=400) for epoch in range(2000)])
    assert set(counts.sum(1)) == {len(sampler)}
    spread = counts.std(0) / math.sqrt(len(counts)) + 1e-3
    assert (np.abs(counts.mean(0) - sampler.expected_draws) < 5 * spread + 1 / 400).all()
    if isinstance(sampler, RepeatFactorSampler):
        assert counts.min() >= 1  # every row in every epoch
        assert (np.abs(counts - sampler.expected_draws) < 1).mean() > 0.999


def test_the_order_is_shuffled():
    order = RepeatFactorSampler(multi_hot(), 0.3).order(0)
    twice = [np.flatnonzero(order == row) for row in range(400) if (order == row).sum() > 1]
    apart = np.mean([np.diff(places).mean() for places in twice])
    assert 0.2 * len(order) < apart < 0.45 * len(order)  # a third, where places are random


@given(st.lists(st.floats(0, 6), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
def test_rounding_keeps_the_sum(expected, seed):
    expected = np.array(expected)
    counts = rounded_at_random(expected, np.random.default_rng(seed))
    assert counts.sum() == round(expected.sum())
    assert (counts >= np.floor(expected)).all()
    assert (counts <= np.ceil(expected) + 1).all()


# ---- the order: processes, epochs, seeds ----


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 60), processes=st.integers(1, 3), batch=st.integers(1, 9), seed=st.integers(-5, 99),
    epoch=st.integers(0, 9), data_seed=st.integers(0, 9), drop_last=st.booleans(),
)  # fmt: skip
def test_processes_share_one_order(n, processes, batch, seed, epoch, data_seed, drop_last):
    """In accelerate's own shards: disjoint, and complete but for what fills up, or is dropped of, the last batches."""
    cls, labels = RepeatFactorSampler, multi_hot(n, data_seed)
    whole = cls(labels, seed=seed).order(epoch).tolist()
    drawn = []
    for rank in range(processes):
        sampler = cls(labels, seed=seed)  # every process makes its own
        sampler.set_epoch(epoch)
        shard = BatchSamplerShard(BatchSampler(sampler, batch, drop_last), processes, rank)
        drawn.append([row for batch_rows in shard for row in batch_rows])
        assert len(shard) == math.ceil(len(sampler) / batch / processes) or drop_last
    together, wanted = sum(map(Counter, drawn), Counter()), Counter(whole)
    missing, added = wanted - together, together - wanted
    if drop_last:
        assert not added
        assert missing.total() < batch * processes
    else:
        assert not missing
        assert added.total() < batch * processes or n < batch * processes  # even_batches: the first rows once more
    assert len({len(rows) for rows in drawn}) == 1
    assert len(whole) == len(cls(labels, seed=seed + 1))  # constant, so that Trainer's steps are right


def test_seed_and_epoch_make_the_order():
    one, other = RepeatFactorSampler(multi_hot(), seed=1), RepeatFactorSampler(multi_hot(), seed=1)
    list(one)  # an order does not depend on what was drawn before
    one.set_epoch(2)
    assert list(one) == list(one) == other.order(2).tolist()
    assert list(one) != other.order(3).tolist()
    assert list(one) != RepeatFactorSampler(multi_hot(), seed=2).order(2).tolist()


# ---- reading labels ----


def test_a_dataset_is_read_as_its_labels_are():
    labels = multi_hot(150_000, prevalence=[0.3, 0.001]).astype(np.int8)  # more than one block
    rows = Dataset.from_dict({"text": ["a"] * len(labels), "labels": labels})
    expected = RepeatFactorSampler(labels).expected_draws
    np.testing.assert_array_equal(RepeatFactorSampler(rows).expected_draws, expected)
    few = [{"labels": row} for row in labels[:5000]]  # of any other dataset every row is asked for
    np.testing.assert_array_equal(RepeatFactorSampler(few, 0.1).positives.row, np.nonzero(labels[:5000])[0])
    tensor = RepeatFactorSampler(torch.tensor(labels[:50]), 0.1)
    assert len(tensor.positives.schema) == 2


@pytest.mark.parametrize(
    ("labels", "how", "error", "message"),
    [
        ([[1, 0], [2, 0]], {}, DataError, "row 1, label 'LABEL_0': 2"),
        ([0, 1, 5], {"schema": LabelSchema.from_names("ab")}, DataError, r"row 2 has class 5; expected 0 to 1"),
        ([0, -3], {}, DataError, "row 1 has class -3"),
        ([], {}, UsageError, "the data has none"),
        ([[1, 0]], {"threshold": 0}, UsageError, r"oversample_threshold is the share .* in \(0, 1\]; got 0"),
        ([[1, 0]], {"threshold": 3}, UsageError, "got 3"),
        ([[1, 0]], {"threshold": LabelSchema.from_names("ab")}, UsageError, r"in \(0, 1\]; got LabelSchema"),
        ([[1, 0]], {"max_repeats": "3"}, UsageError, "max_repeats must be a finite number >= 1; got '3'"),
        ([[1, 0]], {"max_repeats": 0.5}, UsageError, "max_repeats must be a finite number >= 1; got 0.5"),
        (IterableDataset.from_generator(lambda: iter([{"labels": [1, 0]}])), {}, UsageError, "is a stream"),
    ],
)
def test_what_does_not_fit_is_said(labels, how, error, message):
    with pytest.raises(error, match=message):
        RepeatFactorSampler(labels, **how)


# ---- in the trainer ----


class StopAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step == self.step


class Recorder(WeightedFocalTrainer):
    """Keeps which rows it trained on: the first two tokens are a row's number."""

    def training_step(self, model, inputs, num_items_in_batch=None):
        first, second = (inputs["input_ids"][:, :2] - 5).T.tolist()
        self.seen = [*getattr(self, "seen", ()), *(30 * a + b for a, b in zip(first, second, strict=True))]
        return super().training_step(model, inputs, num_items_in_batch)


def numbered_rows(n=101):
    number, labels = np.arange(n), multi_hot(n, 3, [0.5, 0.3, 0.1, 0.05]).astype(int)
    labels[::30, 3] = 1
    ids = np.stack([5 + number // 30, 5 + number % 30, *(10 + labels.T)], 1)
    return Dataset.from_dict({"input_ids": ids.tolist(), "labels": labels.tolist()})


def recorder(folder, sampler="repeat_factor", stop_at=None, **changes):
    arguments = {
        "output_dir": str(folder), "num_train_epochs": 2, "per_device_train_batch_size": 4, "use_cpu": True,
        "gradient_accumulation_steps": 2, "disable_tqdm": True, "report_to": "none", "save_strategy": "steps",
        "save_steps": stop_at or 500, "learning_rate": 1e-2, "dataloader_pin_memory": False, "sampler": sampler,
        **changes,
    }  # fmt: skip
    return Recorder(
        make_model("multi-label"), ImbalanceTrainingArguments(**arguments), train_dataset=numbered_rows(),
        eval_dataset=numbered_rows(30), label_schema=SCHEMA, class_weights=None,
        callbacks=[StopAt(stop_at)] if stop_at else None,
    )  # fmt: skip


def weights_of(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])


def test_the_trainer_trains_on_what_the_sampler_draws(tmp_path):
    trainer = recorder(tmp_path, data_seed=7, save_strategy="no")
    trainer.train()
    expected = RepeatFactorSampler(numbered_rows(), seed=7)
    assert trainer.seen == [row for epoch in range(2) for row in expected.order(epoch).tolist()]
    assert trainer.state.max_steps == 2 * math.ceil(math.ceil(len(expected) / 4) / 2)
    assert trainer.num_examples(trainer.get_train_dataloader()) == len(expected)


def test_a_run_resumed_inside_an_epoch_is_bit_equal(tmp_path):
    whole = recorder(tmp_path / "whole")
    whole.train()
    stopped = recorder(tmp_path / "parts", stop_at=21)  # in the second epoch
    stopped.train()
    resumed = recorder(tmp_path / "parts")
    resumed.train(resume_from_checkpoint=True)
    assert stopped.seen + resumed.seen == whole.seen
    assert torch.equal(weights_of(whole), weights_of(resumed))


def two_processes(case, folder):
    """Rows that each process trained on: undisturbed, and stopped in the second epoch and resumed. Called in both."""
    import torch.distributed as dist

    whole = recorder(f"{folder}/whole")
    whole.train()
    stopped = recorder(f"{folder}/parts", stop_at=11)
    stopped.train()
    dist.barrier()
    resumed = recorder(f"{folder}/parts")
    resumed.train(resume_from_checkpoint=True)
    equal = torch.equal(weights_of(whole), weights_of(resumed))
    mine = {"whole": whole.seen, "parts": stopped.seen + resumed.seen, "equal": equal}
    every = [None, None]
    dist.all_gather_object(every, mine)
    return every


@pytest.mark.distributed
def test_two_processes_share_an_epoch_and_resume_inside_one():
    """Each row is trained on by one of them as often as it is drawn; even_batches fills up with the first rows."""
    (ranks,) = in_two_processes([Case()], "tests.test_sampling:two_processes")
    sampler = RepeatFactorSampler(numbered_rows(), seed=42)
    per_epoch = len(ranks[0]["whole"]) // 2
    assert per_epoch == 4 * math.ceil(len(sampler) / 8)
    for epoch in range(2):
        part = slice(epoch * per_epoch, (epoch + 1) * per_epoch)
        together, order = Counter(ranks[0]["whole"][part]) + Counter(ranks[1]["whole"][part]), sampler.order(epoch)
        assert together == Counter([*order.tolist(), *order[: 2 * per_epoch - len(order)].tolist()])
    for rank in ranks:
        assert rank["parts"] == rank["whole"]
        assert rank["equal"]


def test_evaluation_is_as_without_a_sampler(tmp_path):
    results, loaders = [], []
    for sampler in (None, "repeat_factor"):
        trainer = recorder(tmp_path, sampler)
        torch.nn.init.zeros_(trainer.model.classifier.out_proj.bias)  # the head starts where the drawn rows have it
        metrics = trainer.evaluate()
        results.append({k: v for k, v in metrics.items() if not k.endswith(("runtime", "per_second", "_time"))})
        loaders.append([batch["input_ids"].tolist() for batch in trainer.get_eval_dataloader()])
        assert trainer.num_examples(trainer.get_eval_dataloader()) == 30
    assert results[0] == results[1]
    assert loaders[0] == loaders[1]


def test_without_a_sampler_nothing_changes(tmp_path):
    from torch.utils.data import RandomSampler

    for given_as in (None, "none"):
        assert isinstance(recorder(tmp_path, given_as)._get_train_sampler(), RandomSampler)


def test_the_seed_is_that_of_the_data(make_trainer, make_args):
    for seeds, expected in (({"seed": 5}, 5), ({"seed": 5, "data_seed": 9}, 9)):
        trainer = make_trainer(args=make_args(**seeds), sampler="repeat_factor")
        assert trainer._get_train_sampler().seed == expected


@pytest.mark.parametrize(
    ("keywords", "arguments", "message"),
    [
        ({"sampler": "repeat-factors"}, {}, "Unknown sampler 'repeat-factors': did you mean 'repeat_factor'"),
        ({"oversample_threshold": 0.1}, {}, "oversample_threshold goes with sampler='repeat_factor'; set that too"),
        ({"max_repeats": 3.0}, {}, "max_repeats goes with sampler='repeat_factor'; set that too"),
        ({"sampler": "repeat_factor", "max_repeats": 0}, {}, "max_repeats must be a finite number >= 1; got 0"),
        (
            {"sampler": "repeat_factor"},
            {"train_sampling_strategy": "group_by_length"},
            "sampler='repeat_factor' and train_sampling_strategy='group_by_length' both say which rows come next",
        ),
        ({"sampler": "repeat_factor"}, {"accelerator_config": {"dispatch_batches": True}}, "dispatch_batches=True"),
    ],
)
def test_settings_that_do_not_go_together(keywords, arguments, message, make_trainer, make_args):
    with pytest.raises(UsageError, match=message):
        make_trainer(args=make_args(**arguments), **keywords)
    if not arguments:
        with pytest.raises(UsageError, match=message):
            make_args(**keywords)


def test_data_that_a_sampler_cannot_draw_from(make_trainer, make_rows, make_model, make_args):
    with pytest.raises(UsageError, match=r"a stream without length; use sampler=None"):
        make_trainer(train_dataset=make_rows().to_iterable_dataset(), sampler="repeat_factor")
    unlabelled = make_rows().remove_columns("labels")
    with pytest.raises(UsageError, match="has no column of labels; give it a column 'labels'"):
        make_trainer(
            model=make_model(problem_type="multi_label_classification"), train_dataset=unlabelled,
            eval_dataset=None, sampler="repeat_factor",
        )  # fmt: skip
    tokens = Dataset.from_dict({"input_ids": [[0, 5, 6]] * 8, "labels": [[0, 1, 2]] * 8})
    with pytest.raises(UsageError, match="each token has one"):
        make_trainer(
            model=make_model(cls=RobertaForTokenClassification), train_dataset=tokens, eval_dataset=tokens,
            sampler="repeat_factor",
        )  # fmt: skip


def test_plain_arguments_and_single_labels(make_trainer, make_rows, make_args):
    rows = make_rows(kind="classes").cast_column("labels", ClassLabel(names=list("abcd")))
    args = make_args(cls=TrainingArguments)
    trainer = make_trainer(args=args, train_dataset=rows, eval_dataset=rows, sampler="repeat_factor")
    trainer.train()
    assert set(trainer._get_train_sampler().repeats_by_label) <= set("abcd")


def test_another_training_set_is_sampled_anew(make_trainer, make_rows):
    trainer = make_trainer(sampler="repeat_factor")
    before = trainer._get_train_sampler()
    assert trainer._get_train_sampler() is before
    trainer.train_dataset = make_rows(n=200, seed=5)
    assert trainer._get_train_sampler().positives.n_rows == 200


def test_the_monitor_says_what_is_drawn_and_what_is_stacked(tmp_path, capsys):
    import json

    from imbalance_trainer.reports.report import write_report

    args = {"eval_strategy": "epoch", "num_train_epochs": 1}
    trainer = recorder(tmp_path, **args)
    trainer.train()
    out = capsys.readouterr().out
    assert "several things" not in out  # no weights beside it
    times = trainer._get_train_sampler().repeats_by_label
    assert f"Sampler repeat_factor: {len(trainer._get_train_sampler())} rows an epoch" in out
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["settings"]["sampler"] == "repeat_factor"
    assert run["settings"]["rows_per_epoch"] == len(trainer._get_train_sampler())
    assert run["labels"][3]["repeats"] == pytest.approx(times["praise"])
    write_report(str(tmp_path))
    assert "repeat_factor" in (tmp_path / "report.html").read_text()
