"""What the stock Trainer takes, ours takes: models, data sets, collators and calls of every kind, on tiny models."""

import gc
import weakref
from functools import partial

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch import nn
from transformers import (
    RobertaForTokenClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from imbalance_trainer import ImbalanceMetrics, LabelSchema, RareLabelCallback, WeightedFocalTrainer
from imbalance_trainer.monitor.run_files import HISTORY_FILE, read_history
from imbalance_trainer.utils.errors import DataError, UsageError

from .conftest import trained


def with_labels(rows, labels):
    return Dataset.from_dict({**{c: rows[c] for c in rows.column_names if c != "labels"}, "labels": labels})


# ---- unknown labels ----


def test_nan_is_unknown_as_100_is(make_trainer, make_rows):
    hot = np.array(make_rows(kind="floats")["labels"])
    hot[np.random.default_rng(0).random(hot.shape) < 0.2] = -100
    nan = np.where(hot == -100, np.nan, hot)
    results = []
    for labels in (hot, nan):
        rows = with_labels(make_rows(), labels.tolist())
        trainer = make_trainer(train_dataset=rows, eval_dataset=rows)
        state = trained(trainer)
        metrics = trainer.evaluate()
        results.append((state, {k: v for k, v in metrics.items() if "second" not in k or "f1" in k}))
    assert torch.isfinite(results[1][0]).all()
    assert torch.equal(results[0][0], results[1][0])
    times = {"eval_runtime", "eval_samples_per_second", "eval_steps_per_second"}
    assert {k: v for k, v in results[0][1].items() if k not in times} == {
        k: v for k, v in results[1][1].items() if k not in times
    }


@pytest.mark.parametrize("row", [0, 5])
def test_a_null_label_is_named(row, make_trainer, make_rows):
    labels = make_rows()["labels"]
    labels = [list(r) for r in labels]
    labels[row][1] = None
    with pytest.raises(DataError, match=f"labels: row {row} has None.*use -100 for unknown"):
        make_trainer(train_dataset=with_labels(make_rows(), labels))


def test_an_evaluation_in_which_all_is_unknown_has_every_key(make_trainer, make_rows):
    trainer = make_trainer()
    usual = set(trainer.evaluate())
    rows = with_labels(make_rows(), [[-100] * 4] * 64)
    assert set(trainer.evaluate(rows)) == usual


# ---- models ----


class Wrapped(nn.Module):
    """A model of the user's own around a stock one."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.config = inner, inner.config


class ProbabilitiesFirst(Wrapped):
    def forward(self, input_ids, attention_mask=None, labels=None):
        logits = self.inner(input_ids, attention_mask).logits
        return {"loss": None if labels is None else logits.sum(), "probs": logits.sigmoid(), "logits": logits}


class TupleWithoutLoss(Wrapped):
    def forward(self, input_ids, attention_mask=None, labels=None):
        logits = self.inner(input_ids, attention_mask).logits
        return (None if labels is None else logits.sum()), logits.new_zeros(len(logits), 9), logits


class NeedsLabels(Wrapped):
    def forward(self, input_ids, attention_mask, labels):
        logits = self.inner(input_ids, attention_mask).logits
        return SequenceClassifierOutput(loss=logits.sum() + labels.sum(), logits=logits)


class LabelMaskFirst(Wrapped):
    def forward(self, input_ids, attention_mask=None, label_mask=None, labels=None):
        return SequenceClassifierOutput(logits=self.inner(input_ids, attention_mask).logits)


class BareLogits(Wrapped):
    def forward(self, input_ids, attention_mask=None):
        return self.inner(input_ids, attention_mask).logits


@pytest.mark.parametrize("cls", [ProbabilitiesFirst, TupleWithoutLoss, NeedsLabels, LabelMaskFirst, BareLogits])
def test_models_of_every_shape_give_the_same_numbers(cls, make_trainer, make_model):
    numbers = []
    for model in (make_model(), cls(make_model())):
        trainer = make_trainer(model=model)
        state = trained(trainer)
        metrics = trainer.evaluate()
        numbers.append((state, metrics["eval_loss"], metrics["eval_f1_macro"], metrics["eval_accuracy"]))
    assert torch.allclose(numbers[0][0], numbers[1][0])
    assert numbers[0][1:] == pytest.approx(numbers[1][1:], rel=1e-6)


def test_a_model_without_logits_is_named(make_trainer, make_model):
    class Headless(Wrapped):
        def forward(self, input_ids, attention_mask=None):
            return self.inner.roberta(input_ids, attention_mask).last_hidden_state

    with pytest.raises(DataError, match=r"Headless gives no logits for 4 labels: its outputs have the shapes"):
        make_trainer(model=Headless(make_model())).train()


def test_options_without_effect_are_refused(make_model, make_args):
    rows = Dataset.from_dict({"input_ids": [[0, 5, 6]] * 16, "labels": [float(i) for i in range(16)]})
    with pytest.raises(UsageError, match=r"one output, which is regression.*focal_gamma would have no effect"):
        WeightedFocalTrainer(make_model(num_labels=1), make_args(), train_dataset=rows, focal_gamma=3.0)


def test_one_output_learns_a_label_that_is_there_or_not_as_the_sentence_says(make_model, make_args, caplog):
    ids = [[0, 5 + 2 * (i % 4 == 0), 6] for i in range(64)]
    rows = Dataset.from_dict({"input_ids": ids, "labels": [[int(i % 4 == 0)] for i in range(64)]})
    WeightedFocalTrainer(make_model(num_labels=1), make_args(), train_dataset=rows)
    assert 'needs problem_type="multi_label_classification"' in caplog.text
    model = make_model(num_labels=1, problem_type="multi_label_classification")
    args = make_args(max_steps=60, learning_rate=1e-2)
    trainer = WeightedFocalTrainer(model, args, train_dataset=rows, eval_dataset=rows)
    trainer.train()
    assert trainer.evaluate()["eval_f1_macro"] > 0.9


def test_a_subclass_of_a_token_classifier_is_one(make_model, make_args):
    class BertTagger(RobertaForTokenClassification):
        pass

    rows = Dataset.from_dict({"input_ids": [[0, 5, 6, 7, 8, 9]] * 16, "labels": [[-100, 0, 1, 2, 3, 0]] * 16})
    trainer = WeightedFocalTrainer(make_model(cls=BertTagger), make_args(), train_dataset=rows, eval_dataset=rows)
    assert trainer.imbalance.problem.tokens
    trainer.train()


# ---- data ----


def test_labels_that_a_transform_makes_are_counted(make_trainer, make_rows):
    raw, rows = make_rows().rename_column("labels", "tags"), make_rows()

    def transform(batch):
        return {"input_ids": batch["input_ids"], "labels": batch["tags"]}

    trainer = make_trainer(train_dataset=raw.with_transform(transform), args=None)
    assert trainer.imbalance.distribution.support.tolist() == np.sum(rows["labels"], 0).tolist()
    assert trainer.imbalance.class_weights.asked_for


def test_labels_in_a_column_of_another_name(make_trainer, make_rows, make_args):
    rows = make_rows().rename_column("labels", "targets")
    args = make_args(label_names=["targets"])
    trainer = make_trainer(args=args, train_dataset=rows, eval_dataset=rows)
    assert trainer.imbalance.distribution.n_rows == 64
    plain = make_trainer()
    assert torch.equal(trained(trainer), trained(plain))
    assert "eval_f1_macro" in trainer.evaluate()


def test_labels_that_only_the_collator_makes(make_trainer, make_rows, make_model, make_args, caplog):
    rows = make_rows().rename_column("labels", "tags")

    def collate(batch):
        inputs = default_data_collator([{k: v for k, v in row.items() if k != "tags"} for row in batch])
        return {**inputs, "labels": torch.tensor([row["tags"] for row in batch])}

    make = partial(make_trainer, train_dataset=rows, eval_dataset=rows, data_collator=collate)
    model = make_model(problem_type="multi_label_classification")
    args = make_args(cls=TrainingArguments, remove_unused_columns=False)
    trainer = make(model=model, args=args)
    assert "hold no labels to count, so every class weight is 1" in caplog.text
    trainer.train()
    assert "eval_f1_macro" in trainer.evaluate()
    weighted = make(model=model, args=args, class_weights={"LABEL_3": 12})
    assert weighted.imbalance.objective.weighted.loss.class_weights.tolist() == [1, 1, 1, 12]


def test_a_collator_that_renames_the_labels(make_trainer, make_rows, make_args):
    """Accumulation must not change the update there either: 16 rows as one batch and as four."""
    rows = make_rows(n=16)
    states = []
    for batch, steps in ((16, 1), (4, 4)):
        args = make_args(
            max_steps=1, per_device_train_batch_size=batch, gradient_accumulation_steps=steps, optim="sgd",
            label_names=["label"], remove_unused_columns=False,
        )  # fmt: skip
        trainer = make_trainer(args=args, train_dataset=rows.rename_column("labels", "label"), eval_dataset=rows)
        states.append(trained(trainer))
        assert "eval_f1_macro" in trainer.evaluate()
    assert torch.allclose(states[0], states[1], atol=1e-8)


def test_a_batch_without_labels_is_named(make_trainer, make_rows, make_args):
    def collate(batch):
        return default_data_collator([{k: v for k, v in row.items() if k != "labels"} for row in batch])

    with pytest.raises(DataError, match=r"The batch has no labels: its keys are \['attention_mask', 'input_ids'\]"):
        make_trainer(data_collator=collate, args=make_args(remove_unused_columns=False)).train()


class MapStyle(torch.utils.data.Dataset):
    def __init__(self, rows, keys=("input_ids", "attention_mask", "labels")):
        self.rows, self.keys = rows, keys

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return {key: self.rows[int(i)][key] for key in self.keys}


@pytest.mark.parametrize("kind", [MapStyle, Dataset.to_iterable_dataset])
def test_data_sets_of_every_kind_are_counted(kind, make_trainer, make_rows):
    trainer = make_trainer(train_dataset=kind(make_rows()), eval_dataset=kind(make_rows(seed=1)))
    assert trainer.imbalance.distribution.support.tolist() == np.sum(make_rows()["labels"], 0).tolist()
    trainer.train()
    assert "eval_f1_macro" in trainer.evaluate()


class ReadOnce(torch.utils.data.IterableDataset):
    def __init__(self, rows):
        self.source = iter(rows)

    def __iter__(self):
        yield from self.source


def test_a_stream_that_can_be_read_once_is_left_alone(make_trainer, make_rows, make_model, caplog):
    stream = ReadOnce(make_rows())
    trainer = make_trainer(make_model(problem_type="multi_label_classification"), train_dataset=stream)
    assert "may be read once only, so its labels are not counted" in caplog.text
    assert trainer.imbalance.distribution is None
    assert sum(1 for _ in stream) == 64


def test_each_row_of_a_torch_data_set_is_asked_for_once_at_construction(make_trainer, make_rows):
    class Counted(MapStyle):
        asked = 0

        def __getitem__(self, i):
            self.asked += 1
            return super().__getitem__(i)

    sets = Counted(make_rows()), Counted(make_rows(seed=1))
    make_trainer(train_dataset=sets[0], eval_dataset=sets[1])
    assert [dataset.asked for dataset in sets] == [64, 64]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.rename_column("labels", "target"), r"its columns: .*'target'; expected 'labels'"),
        (lambda rows: rows.remove_columns("labels").add_column("joy", [0] * 64), r"dataset.map\(lambda row"),
    ],
)
def test_columns_that_may_be_labels_are_named(change, said, make_trainer, make_rows, make_model):
    with pytest.raises(UsageError, match=said):
        make_trainer(make_model(problem_type="multi_label_classification"), train_dataset=change(make_rows()))


def test_two_columns_of_labels_keep_the_stock_loss(make_trainer, make_rows, make_args, caplog):
    rows = make_rows().add_column("second", [0] * 64)
    args = make_args(label_names=["labels", "second"])
    assert make_trainer(args=args, train_dataset=rows, eval_dataset=None).imbalance is None
    assert "'labels', 'second', which are several columns of the data: the stock Trainer's loss" in caplog.text


@pytest.mark.parametrize(
    ("name", "said"), [("tokenizer", "it is processing_class"), ("gamma", "it is focal_gamma"), ("los", "mean 'loss'")]
)
def test_an_unknown_argument_is_answered_with_the_right_one(name, said, make_trainer):
    with pytest.raises(UsageError, match=f"has no argument '{name}': .*{said}"):
        make_trainer(**{name: None})


def test_a_program_whose_output_is_parsed_can_have_silence(make_trainer, make_args, capsys):
    make_trainer(args=make_args(log_level="error", disable_tqdm=True)).evaluate()
    silent = capsys.readouterr().out
    make_trainer().evaluate()
    assert "label (rarest first)" not in silent
    assert "label (rarest first)" in capsys.readouterr().out


def test_evaluation_data_without_labels(make_trainer, make_rows):
    keys = ("input_ids", "attention_mask")
    for unlabelled in (MapStyle(make_rows(), keys), make_rows().remove_columns("labels")):
        trainer = make_trainer(eval_dataset=unlabelled)
        assert "eval_f1_macro" not in trainer.evaluate()
        assert trainer.predict(unlabelled).predictions.shape == (64, 4)


def test_names_in_another_order_than_the_datas(make_trainer, make_rows):
    from datasets import ClassLabel

    rows = make_rows(kind="classes").cast_column("labels", ClassLabel(names=list("abcd")))
    with pytest.raises(UsageError, match="the dataset's ClassLabel have the same names in another order"):
        make_trainer(train_dataset=rows, label_schema=list("dcba"))


def test_a_schema_stands_in_for_an_id2label_with_a_name_twice(make_trainer, make_model):
    model = make_model()
    model.config.id2label = dict.fromkeys(range(4), "label")
    assert make_trainer(model, label_schema=list("abcd")).imbalance.schema.names == tuple("abcd")


# ---- evaluation ----


@pytest.mark.parametrize("options", [{"eval_do_concat_batches": False}, {"batch_eval_metrics": True}, {}])
def test_imbalance_metrics_sees_every_row_however_it_is_called(options, make_model, make_rows, make_args):
    model = make_model(problem_type="multi_label_classification")
    rows = make_rows(kind="floats")
    trainer = Trainer(
        model, make_args(per_device_eval_batch_size=7, **options), eval_dataset=rows,
        compute_metrics=ImbalanceMetrics(list("abcd")),
    )  # fmt: skip
    metrics = trainer.evaluate()
    assert [metrics[f"eval_support_{c}"] for c in "abcd"] == np.sum(rows["labels"], 0).tolist()


def test_predicting_inside_compute_metrics_changes_nothing(make_trainer, make_rows):
    plain = make_trainer().evaluate()
    trainer = make_trainer()
    other = make_rows(n=9, seed=5)

    def predict_other(prediction):
        is_outer = len(prediction.predictions) == 64
        return {"other": trainer.predict(other).metrics["test_f1_macro"]} if is_outer else {}

    trainer.compute_metrics = predict_other
    metrics = trainer.evaluate()
    for key in ("eval_loss", "eval_f1_macro", "eval_support_LABEL_0"):
        assert metrics[key] == plain[key]


def test_evaluation_alone_uses_the_weights_of_training(make_trainer, make_model, make_rows, make_args):
    trainer = make_trainer(class_weights={"LABEL_3": 12})
    expected = trainer.evaluate()["eval_loss"]
    again = WeightedFocalTrainer(trainer.model, make_args(), eval_dataset=make_rows(seed=1))
    assert again.evaluate()["eval_loss"] == pytest.approx(expected, rel=1e-7)
    given = WeightedFocalTrainer(make_model(), make_args(), eval_dataset=make_rows(), class_weights=[1, 2, 3, 4])
    assert given.imbalance.objective.weighted.loss.class_weights.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("metric", "greater", "fits"),
    [
        ("n_labels_without_recall", None, False),
        ("n_labels_without_recall", False, True),
        ("violation_rate", True, False),
        ("hamming_loss", None, True),
        ("secondary_f1_macro", None, True),
        ("secondary_f1_macro", False, False),
        ("f1_hair_loss", None, False),  # transformers guesses that "..._loss" is best when low
        ("f1_hair_loss", True, True),
    ],
)
def test_the_direction_of_the_best_metric(metric, greater, fits, make_trainer, make_args):
    args = make_args(metric_for_best_model=metric, load_best_model_at_end=False, greater_is_better=greater)
    if args.greater_is_better is None:  # as transformers sets it with load_best_model_at_end
        args.greater_is_better = not metric.endswith("loss")
    names = ["a", "b", "c", "hair loss"]
    trainer = make_trainer(args=args, label_schema=names)
    if fits:
        trainer.train()
    else:
        with pytest.raises(UsageError, match=f"metric_for_best_model='{metric}' is best when.*set greater_is_better="):
            trainer.train()


# ---- callbacks ----


def test_a_callback_that_is_added_later_knows_the_weights(make_trainer):
    trainer = make_trainer()
    trainer.remove_callback(RareLabelCallback)
    own = RareLabelCallback()
    trainer.add_callback(own)
    assert own.class_weights is trainer.imbalance.class_weights
    assert own.metrics is trainer.imbalance.metrics


@pytest.mark.parametrize(("own", "option", "patience"), [(None, 7, 7), (4, 7, 4), (None, None, 2)])
def test_patience_is_the_callbacks_own_else_the_trainers(own, option, patience, make_trainer):
    callback = RareLabelCallback(patience=own)
    trainer = make_trainer(callbacks=[callback], **({} if option is None else {"rare_label_patience": option}))
    assert callback.patience == patience
    assert callback.class_weights is trainer.imbalance.class_weights
    assert [c for c in trainer.callback_handler.callbacks if isinstance(c, RareLabelCallback)] == [callback]


def test_a_trainer_is_freed_without_the_garbage_collector(make_trainer):
    trainer = make_trainer()
    gc.collect()
    gc.disable()
    try:
        alive = weakref.ref(trainer)
        del trainer
        assert alive() is None
    finally:
        gc.enable()


def test_evaluating_in_another_process_leaves_the_history_alone(make_trainer, make_args):
    args = {"max_steps": 4, "eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps", "save_steps": 4}
    trainer = make_trainer(args=make_args(**args))
    trainer.train()
    path = f"{trainer.args.output_dir}/{HISTORY_FILE}"
    before = read_history(path)
    make_trainer(args=make_args(**args)).evaluate()
    assert read_history(path) == before
    resumed = make_trainer(args=make_args(**{**args, "max_steps": 8}))
    resumed.train(resume_from_checkpoint=True)
    assert [entry["step"] for entry in read_history(path)] == [2, 4, 6, 8]


def test_an_evaluation_before_training_is_its_starting_point(make_trainer, make_args):
    trainer = make_trainer(args=make_args(eval_strategy="steps", eval_steps=1))
    trainer.evaluate()
    trainer.train()
    assert [entry["step"] for entry in read_history(f"{trainer.args.output_dir}/{HISTORY_FILE}")] == [0, 1, 2]


def test_a_users_metric_that_ends_like_ours_is_no_evaluation_of_its_own(make_trainer):
    trainer = make_trainer(compute_metrics=lambda prediction: {"ema_secondary_f1_macro": 0.5})
    trainer.evaluate()
    (entry,) = read_history(f"{trainer.args.output_dir}/{HISTORY_FILE}")
    assert entry["split"] == "eval"
    assert "f1_macro" in entry["metrics"]


# ---- hyper-parameter search ----


def test_search_moves_our_options_and_its_objective_is_eval_loss(make_model, make_rows, make_args):
    pytest.importorskip("optuna")
    seen, losses = [], []

    class Watch(RareLabelCallback):
        def on_evaluate(self, args, state, control, metrics, **kwargs):
            seen.append((self.focal_gamma, self.max_weight))
            losses.append(metrics["eval_loss"])

    args = make_args(eval_strategy="steps", eval_steps=2)
    trainer = WeightedFocalTrainer(
        model_init=lambda: make_model(), args=args, train_dataset=make_rows(), eval_dataset=make_rows(seed=1),
        callbacks=[Watch()], focal_gamma=1.0,
    )  # fmt: skip
    gammas, caps = iter([0.5, 4.0]), iter([1.2, 2.0])
    best = trainer.hyperparameter_search(
        hp_space=lambda trial: {
            "focal_gamma": trial.suggest_float("focal_gamma", *[next(gammas)] * 2),
            "max_weight": trial.suggest_float("max_weight", *[next(caps)] * 2),
        },
        n_trials=2,
        backend="optuna",
    )
    assert seen == [(0.5, 1.2), (4.0, 2.0)]
    assert best.objective == pytest.approx(min(losses))
    assert trainer.imbalance.objective.weighted.loss.gamma == 4.0
    assert trainer.imbalance.class_weights.values.max() <= 2.0


# ---- what subclasses and callbacks do ----


class EvaluatesInside(TrainerCallback):
    """Evaluates before the first micro-batch of each update, or between two of them."""

    def __init__(self, event):
        self.event, self.trainer = event, None

    def _evaluate(self):
        self.trainer.evaluate()
        self.trainer.model.train()

    def on_step_begin(self, *_, **__):
        if self.event == "step":
            self._evaluate()

    def on_substep_end(self, *_, **__):
        if self.event == "substep":
            self._evaluate()


@pytest.mark.parametrize("event", ["step", "substep"])
def test_an_evaluation_inside_an_update_leaves_its_counts_alone(event, make_trainer, make_args):
    schema = LabelSchema(list("abcd"), {"primary": ["a"]}, [("b", "a"), ("c", "a")])
    args = make_args(gradient_accumulation_steps=4, per_device_train_batch_size=4, learning_rate=1e-2)
    watches = EvaluatesInside(None), EvaluatesInside(event)
    for watch in watches:
        watch.trainer = make_trainer(args=args, callbacks=[watch], label_schema=schema)
    assert torch.equal(*(trained(watch.trainer) for watch in watches))


class OwnLoss(WeightedFocalTrainer):
    """The commonest subclass: a loss of its own."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(outputs.logits, labels.float())
        assert num_items_in_batch is None or torch.as_tensor(num_items_in_batch).ndim == 0
        return (loss, outputs) if return_outputs else loss


def test_a_subclass_with_its_own_loss_has_it_as_eval_loss_beside_our_metrics(make_trainer, make_rows):
    rows = make_rows(n=16, seed=1)
    trainer = make_trainer(cls=OwnLoss, eval_dataset=rows)
    trainer.train()
    metrics = trainer.evaluate()
    logits = torch.tensor(trainer.predict(rows).predictions)
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor(rows["labels"]).float())
    assert metrics["eval_loss"] == pytest.approx(wanted.item(), rel=1e-5)
    assert 0 <= metrics["eval_f1_macro"] <= 1


def test_a_subclass_that_adds_to_our_loss_has_both_and_is_told_so(make_trainer, make_rows, caplog):
    class Added(WeightedFocalTrainer):
        def compute_loss(self, *args, **kwargs):
            loss = super().compute_loss(*args, **kwargs)
            return (loss[0] + 10, loss[1]) if isinstance(loss, tuple) else loss + 10

    rows = make_rows(n=16, seed=1)
    ours, added = (
        make_trainer(cls=cls, eval_dataset=rows, head_start="bias") for cls in (WeightedFocalTrainer, Added)
    )
    assert added.evaluate()["eval_loss"] == pytest.approx(ours.evaluate()["eval_loss"] + 10, abs=1e-4)
    assert "Added has a compute_loss of its own" in caplog.text


@pytest.mark.parametrize("compute_metrics", [None, lambda _: {"mine": 1.0}])
def test_a_subclass_with_its_own_prediction_step_has_our_metrics_or_is_told_why_not(
    make_trainer, make_rows, caplog, compute_metrics
):
    class OwnStep(OwnLoss):
        def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
            labels = inputs["labels"]
            with torch.no_grad():
                loss, outputs = self.compute_loss(model, dict(inputs), return_outputs=True)
            return (loss, None, None) if prediction_loss_only else (loss, outputs.logits, labels)

    rows = make_rows(n=16, seed=1)
    options = {"eval_dataset": rows, "compute_metrics": compute_metrics}
    own, theirs = (make_trainer(cls=cls, **options).evaluate() for cls in (OwnStep, OwnLoss))
    if compute_metrics is None:
        assert "OwnStep.prediction_step takes the place of ours" in caplog.text
    else:
        assert "eval_f1_macro" in own
        same = [name for name in theirs if not name.endswith(("runtime", "second", "time"))]
        assert [own[name] for name in same] == [theirs[name] for name in same]


def test_what_a_subclass_says_of_its_scaling_holds(make_trainer):
    class Unscaled(OwnLoss):
        loss_is_scaled_for_ga = False

    assert make_trainer(cls=Unscaled).loss_is_scaled_for_ga is False


def test_thresholds_are_tuned_through_the_subclasss_own_evaluation(make_trainer, make_rows):
    seen = []

    class Averaged(WeightedFocalTrainer):
        def evaluation_loop(self, dataloader, description, *args, **kwargs):
            seen.append(description)
            return super().evaluation_loop(dataloader, description, *args, **kwargs)

    trainer = make_trainer(cls=Averaged)
    trainer.train()
    trainer.tune_thresholds(n_bootstrap=0)
    assert seen == ["Thresholds"]
    trainer.evaluate()
    before = trainer.metrics_at_half
    with pytest.raises(DataError, match="has no labels"):
        trainer.tune_thresholds(make_rows().remove_columns("labels"), n_bootstrap=0)
    assert trainer.metrics_at_half == before is not None
