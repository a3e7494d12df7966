"""WeightedFocalTrainer as a user meets it: in place of Trainer, on tiny models."""

import dataclasses
import inspect
import json

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset
from transformers import (
    AutoModelForSequenceClassification,
    Trainer,
    TrainingArguments,
    pipeline,
)

from imbalance_trainer import (
    ImbalanceMetrics,
    LabelSchema,
    WeightedFocalTrainer,
    compute_class_weights,
)
from imbalance_trainer.data.demo import demo_model
from imbalance_trainer.training.arguments import ImbalanceOptions
from imbalance_trainer.utils.errors import DataError, UsageError

NAMES = ["hateful", "insults", "threats", "praise of violence"]
SCHEMA = LabelSchema(NAMES, {"primary": NAMES[:1]}, [(name, NAMES[0]) for name in NAMES[1:]])


# ---- drop-in ----


@pytest.mark.parametrize("kind", ["multi-hot", "floats", "classes"])
@pytest.mark.parametrize("arguments", [TrainingArguments, None])
def test_takes_the_place_of_trainer(kind, arguments, make_model, make_rows, make_args, capsys):
    args = make_args() if arguments is None else make_args(cls=arguments)
    trainer = WeightedFocalTrainer(
        make_model(), args, train_dataset=make_rows(kind=kind), eval_dataset=make_rows(kind=kind)
    )
    trainer.train()
    metrics = trainer.evaluate()
    assert np.isfinite(metrics["eval_loss"])
    assert 0 <= metrics["eval_secondary_f1_macro"] <= 1
    assert all(type(value) in (float, int) for value in metrics.values())
    assert trainer.imbalance.options.focal_gamma == 2.0
    assert trainer.imbalance.options.weight_strategy == "sqrt_tiered"
    assert "label (rarest first)" in capsys.readouterr().out


def test_int_and_float_labels_give_the_same_model(make_trainer, make_rows):
    states = []
    for kind in ("multi-hot", "floats"):
        trainer = make_trainer(train_dataset=make_rows(kind=kind))
        trainer.train()
        states.append(trainer.model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_defaults_are_the_recommended_ones(make_trainer):
    trainer = make_trainer()
    expected = compute_class_weights(trainer.imbalance.distribution)
    assert np.array_equal(trainer.imbalance.class_weights.values, expected.values)
    assert torch.allclose(
        trainer.imbalance.objective.weighted.loss.class_weights, torch.tensor(expected.values, dtype=torch.float32)
    )
    assert (trainer.imbalance.objective.weighted.loss.gamma, trainer.imbalance.options.constraint_weight) == (2.0, 0.5)


def test_keywords_win_over_arguments(make_trainer, make_args):
    args = make_args(focal_gamma=0.0, class_weights={"label_1": 7}, max_weight=12.0)  # 0 is no default
    trainer = make_trainer(args=args, focal_gamma=1.0)
    assert (trainer.imbalance.options.focal_gamma, trainer.imbalance.options.max_weight) == (1.0, 12.0)
    assert trainer.imbalance.class_weights.values[1] == 7
    unweighted = make_trainer(args=args, class_weights=None).imbalance
    assert (unweighted.objective.weighted.loss.class_weights, unweighted.options.focal_gamma) == (None, 0.0)


def test_the_signature_has_trainers_parameters_and_our_options_with_their_defaults():
    parameters = inspect.signature(WeightedFocalTrainer.__init__).parameters
    stock = inspect.signature(Trainer.__init__).parameters
    assert list(parameters)[: len(stock)] == list(stock)
    ours = {option.name: option.default for option in dataclasses.fields(ImbalanceOptions)}
    assert {name: parameters[name].default for name in ours} == ours
    assert len(parameters) == len(stock) + len(ours)


def test_a_subclass_may_use_names_like_ours_for_itself(make_trainer):
    class Own(WeightedFocalTrainer):
        def __init__(self, *args, **kwargs):
            self.class_weights, self.options, self.problem = torch.ones(3), "mine", "hate"
            super().__init__(*args, **kwargs)
            self.label_schema = self.objective = None

    trainer = make_trainer(cls=Own)
    trainer.train()
    assert trainer.evaluate()["eval_f1_macro"] >= 0
    assert (trainer.options, trainer.problem) == ("mine", "hate")


# ---- the loss ----


def reference_loss(trainer, rows):
    """The loss of all rows as a loop over entries, in float64."""
    model = trainer.model.eval().double()
    weights, total, pairs, penalty = trainer.imbalance.class_weights.values, 0.0, 0, 0.0
    entries = 0
    for row in rows:
        logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0].tolist()
        p = [1 / (1 + np.exp(-z)) for z in logits]
        for i, y in enumerate(row["labels"]):
            if y == -100:
                continue
            entries += 1
            total += weights[i] * (1 - p[i]) ** 2 * -np.log(p[i]) if y else p[i] ** 2 * -np.log(1 - p[i])
        for child, parent in trainer.imbalance.schema.implication_indices:
            if row["labels"][parent] != -100:
                pairs += 1
                penalty += p[child] * (row["labels"][parent] == 0)
    model.float()
    return total / entries + 0.5 * penalty / max(pairs, 1)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("batch", [3, 16, 64])
def test_eval_loss_is_the_mean_over_all_entries(masked, batch, make_trainer, make_rows, make_args):
    rows = make_rows(n=22, seed=1)
    if masked:
        labels = np.array(rows["labels"])
        labels[np.random.default_rng(0).random(labels.shape) < 0.3] = -100
        rows = rows.remove_columns("labels").add_column("labels", labels.tolist())
    trainer = make_trainer(args=make_args(per_device_eval_batch_size=batch), eval_dataset=rows, label_schema=SCHEMA)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(reference_loss(trainer, rows), rel=1e-6)


def test_a_users_loss_function_is_honoured(make_trainer, capsys, caplog):
    calls = []

    def loss(outputs, labels, num_items_in_batch=None):
        calls.append(num_items_in_batch)
        return torch.nn.functional.binary_cross_entropy_with_logits(outputs.logits, labels.float())

    trainer = make_trainer(compute_loss_func=loss)
    trainer.train()
    metrics = trainer.evaluate()
    assert len(calls) >= 4
    assert metrics["eval_loss"] > 0.3  # the user's, not the focal one
    assert "eval_secondary_f1_macro" in metrics
    assert "Class weights" not in capsys.readouterr().out  # they are not used, which is said
    assert "compute_loss_func takes the place of our loss" in caplog.text


# ---- metrics ----


def test_our_metrics_stand_beside_the_users_own(make_trainer):
    def own(prediction):
        return {"mine": float(prediction.predictions.shape[0]), "f1_macro": -1.0}

    metrics = make_trainer(compute_metrics=own).evaluate()
    assert metrics["eval_mine"] == 64.0
    assert metrics["eval_f1_macro"] == -1.0  # the user's own name is theirs
    assert "eval_secondary_f1_macro" in metrics


def test_metrics_equal_imbalance_metrics_on_the_predictions(make_trainer):
    trainer = make_trainer(label_schema=SCHEMA)
    output = trainer.predict(trainer.eval_dataset)
    reference = ImbalanceMetrics(SCHEMA, trainer.imbalance.distribution.support)
    reference.update(output.predictions, output.label_ids)
    for name, value in reference.compute().items():
        assert output.metrics[f"test_{name}"] == pytest.approx(value, abs=1e-12)


def test_dict_of_eval_sets(make_trainer, make_rows):
    metrics = make_trainer(eval_dataset={"a": make_rows(seed=1), "b": make_rows(n=7, seed=2)}).evaluate()
    assert {"eval_a_secondary_f1_macro", "eval_b_secondary_f1_macro"} <= set(metrics)
    assert metrics["eval_b_support_LABEL_0"] <= 7


def test_best_model_by_our_metric(make_trainer, make_args):
    args = make_args(
        num_train_epochs=2, max_steps=-1, eval_strategy="epoch", save_strategy="epoch", load_best_model_at_end=True,
        metric_for_best_model="secondary_f1_macro",
    )  # fmt: skip
    trainer = make_trainer(args=args)
    trainer.train()
    logged = [log["eval_secondary_f1_macro"] for log in trainer.state.log_history if "eval_loss" in log]
    assert trainer.state.best_metric == max(logged)


@pytest.mark.parametrize("name", ["secondary_f1_marco", "eval_secondary_f1_marco"])
def test_a_wrong_best_metric_fails_at_once(name, make_trainer, make_args):
    with pytest.raises(UsageError, match="did you mean 'secondary_f1_macro'"):
        make_trainer(args=make_args(metric_for_best_model=name)).train()


def test_best_metric_of_one_of_several_sets(make_trainer, make_args, make_rows):
    sets = {"dev": make_rows(seed=1)}
    make_trainer(args=make_args(metric_for_best_model="eval_dev_f1_tail"), eval_dataset=sets).train()
    with pytest.raises(UsageError, match="dev_f1_tail"):
        make_trainer(args=make_args(metric_for_best_model="f1_tail"), eval_dataset=sets).train()


def test_a_metric_of_a_subclasss_evaluate_may_be_the_best(make_trainer, make_args):
    class Own(WeightedFocalTrainer):
        def evaluate(self, *args, **kwargs):
            return {**super().evaluate(*args, **kwargs), "eval_mine": 1.0}

    args = make_args(
        max_steps=2, eval_strategy="steps", eval_steps=1, save_strategy="steps", save_steps=1,
        load_best_model_at_end=True, metric_for_best_model="mine", greater_is_better=True,
    )  # fmt: skip
    trainer = make_trainer(cls=Own, args=args)
    trainer.train()
    assert trainer.state.best_metric == 1.0


# ---- what is saved ----


def test_what_is_saved_loads_in_plain_transformers(tmp_path, make_rows, make_args):
    model, tokenizer = demo_model(SCHEMA)
    texts = ["what a clown", "the bread was good"] * 8
    rows = Dataset.from_dict({**tokenizer(texts), "labels": [[1, 1, 0, 0], [0, 0, 0, 0]] * 8})
    trainer = WeightedFocalTrainer(
        model, make_args(), train_dataset=rows, processing_class=tokenizer, label_schema=SCHEMA
    )
    trainer.train()
    trainer.save_model(str(tmp_path / "saved"))
    loaded, report = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved", output_loading_info=True)
    assert not report["unexpected_keys"]
    assert not report["missing_keys"]
    assert loaded.config.problem_type == "multi_label_classification"
    assert loaded.config.label2id == {name: i for i, name in enumerate(NAMES)}
    assert LabelSchema.from_config(loaded.config) == SCHEMA
    (scores,) = pipeline("text-classification", str(tmp_path / "saved"), top_k=None)(["what a clown"])
    logits = trainer.model.eval()(**tokenizer("what a clown", return_tensors="pt")).logits[0]
    expected = dict(zip(NAMES, logits.sigmoid().tolist(), strict=True))  # sigmoid, not softmax
    assert {s["label"]: s["score"] for s in scores} == pytest.approx(expected, rel=1e-5)


def test_the_schema_in_the_config_is_taken_up_again(make_trainer, make_model):
    model = make_model()
    SCHEMA.to_config(model.config)
    trainer = make_trainer(model=model)
    assert trainer.imbalance.schema == SCHEMA
    assert trainer.imbalance.objective.weighted.penalty is not None


def test_names_come_from_the_datasets_features(make_trainer, make_rows):
    rows = make_rows(kind="classes").cast_column("labels", ClassLabel(names=list("abcd")))
    trainer = make_trainer(train_dataset=rows, eval_dataset=rows)
    assert trainer.model.config.id2label == dict(enumerate("abcd"))
    assert trainer.model.config.problem_type == "single_label_classification"


def test_model_init_is_configured_each_time(make_model, make_rows, make_args):
    trainer = WeightedFocalTrainer(
        model_init=lambda: make_model(), args=make_args(), train_dataset=make_rows(), label_schema=SCHEMA
    )
    trainer.train()
    assert trainer.model.config.problem_type == "multi_label_classification"
    assert trainer.model.config.id2label[0] == "hateful"


# ---- what is wrong is said in a sentence ----


def replaced(rows, row, column, value):
    labels = [list(r) for r in rows["labels"]]
    labels[row][column] = value
    return rows.remove_columns("labels").add_column("labels", labels)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"class_weights": {"treats": 3}}, "Unknown label 'treats'.*did you mean 'threats'"),
        ({"class_weights": {"threats": 0}}, "weight of 'threats' must be a positive finite number; got 0"),
        ({"class_weights": {"threats": float("nan")}}, "weight of 'threats'.*nan"),
        ({"class_weights": [1.0, 2.0]}, "Got 2 class weights for 4 labels"),
        ({"focal_gamma": -1}, "focal_gamma must be a finite number >= 0; got -1"),
        ({"max_weight": 0}, "max_weight must be a positive"),
        ({"weight_strategy": "tired"}, "Unknown weight_strategy 'tired': did you mean 'tiered'"),
        ({"loss": "vocal"}, "Unknown loss 'vocal': did you mean 'focal'"),
        ({"loss": "ce"}, "'ce' is not for multi-label problems"),
        ({"constraint": "golden"}, "Unknown constraint 'golden': did you mean 'gold'"),
        ({"constraint_weight": -1}, "constraint_weight"),
        ({"rare_label_patience": 0}, "rare_label_patience"),
        ({"label_schema": ["a", "b"]}, "schema has 2 labels, but the model's head has 4 outputs"),
        (
            {"label_schema": {"names": list("abcd"), "implications": [["a", "b"], ["b", "a"]]}},
            "form a cycle: 'a' -> 'b'",
        ),
    ],
)
def test_settings_that_do_not_fit(keywords, message, make_trainer):
    with pytest.raises(ValueError, match=message):
        make_trainer(**{"label_schema": SCHEMA, **keywords})


@pytest.mark.parametrize(
    ("config", "kind", "message"),
    [
        (
            {"num_labels": 3},
            "multi-hot",
            "4 values, but the head of Roberta.* has 3 outputs; create.*num_labels=4",
        ),
        ({}, "lists", "if these are lists of class indices, give one 0 or 1 per label"),
        (
            {"problem_type": "single_label_classification"},
            "multi-hot",
            "but 'labels' holds a list of 4",
        ),
        ({"problem_type": "multi_label_classification"}, "classes", "but 'labels' holds one class"),
        ({"id2label": dict(enumerate(NAMES[::-1]))}, "multi-hot", "same names in another order"),
    ],
)
def test_a_model_that_contradicts_the_labels(config, kind, message, make_trainer, make_model, make_rows):
    rows = make_rows(kind="classes" if kind == "classes" else "multi-hot")
    if kind == "lists":
        rows = rows.remove_columns("labels").add_column("labels", [[2]] * 64)
    with pytest.raises(UsageError, match=message):
        make_trainer(model=make_model(**config), train_dataset=rows, label_schema=SCHEMA)


def test_a_label_value_of_2_is_named(make_trainer, make_rows):
    with pytest.raises(DataError, match="row 5, label 'threats': 2"):
        make_trainer(train_dataset=replaced(make_rows(), 5, 2, 2), label_schema=SCHEMA)
    with pytest.raises(DataError, match="row 9, label 'hateful': 3"):
        make_trainer(eval_dataset=replaced(make_rows(), 9, 0, 3), label_schema=SCHEMA)


def test_a_label_without_positives_is_named(make_trainer, make_rows, caplog):
    rows = make_rows(prevalence=[0.5, 0.5, 0.5, 0.0])
    trainer = make_trainer(train_dataset=rows, label_schema=SCHEMA)
    assert trainer.imbalance.class_weights.values[3] == 1
    assert "No positives in the training data for 'praise of violence'" in caplog.text


# ---- logs and callbacks ----


@pytest.mark.parametrize("disable_tqdm", [True, False])
def test_the_log_line_leaves_out_what_the_table_shows(disable_tqdm, make_trainer, make_args, capsys):
    args = make_args(eval_strategy="steps", eval_steps=2, disable_tqdm=disable_tqdm)
    trainer = make_trainer(args=args, compute_metrics=lambda prediction: {"mine": 0.25})
    trainer.train()
    out = capsys.readouterr().out
    assert "eval_recall_LABEL_0" not in out
    assert "eval_mine" in out
    assert "eval_loss" in out  # a line that stays has what the stock Trainer has
    assert out.count("label (rarest first)") == 1
    assert "eval_recall_LABEL_0" in json.dumps(trainer.state.log_history)  # trackers and files have everything
