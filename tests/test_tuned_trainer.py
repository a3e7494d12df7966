"""WeightedFocalTrainer with thresholds: tuned, stored, used everywhere, and dropped where they would lie."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from sklearn.metrics import f1_score
from transformers import RobertaForSequenceClassification

from benchmarks.exactness import Case, in_two_processes, make_rows
from benchmarks.exactness import make_trainer as make_exact_trainer
from imbalance_trainer import ImbalanceMetrics, LabelSchema, WeightedFocalTrainer, tune_thresholds
from imbalance_trainer.cli.export import bake_thresholds
from imbalance_trainer.monitor.run_record import read_run
from imbalance_trainer.tuning.decisions import TuningOptions
from imbalance_trainer.utils.constants import CONFIG_KEY
from imbalance_trainer.utils.errors import DataError, UsageError

NAMES = ["a", "b", "c", "d"]
CHAIN = LabelSchema(NAMES, {"primary": ["a"]}, [("b", "a"), ("c", "b")])
QUICK = {"n_bootstrap": 0}


def stored(model, key="thresholds"):
    return getattr(model.config, CONFIG_KEY).get(key)


@pytest.fixture
def tuned(make_trainer, make_args):
    trainer = make_trainer(args=make_args(max_steps=10, learning_rate=3e-3), label_schema=CHAIN)
    trainer.train()
    trainer.tune_thresholds(**QUICK)
    return trainer


def decided_by_hand(trainer, dataset):
    output = trainer.predict(dataset)
    cuts = np.array([trainer.model.config.imbalance_trainer["thresholds"][name] for name in NAMES])
    decided = 1 / (1 + np.exp(-output.predictions.astype(np.float64))) > cuts
    decided[:, 1] &= decided[:, 0]
    decided[:, 2] &= decided[:, 1]
    return output, decided


# ---- stored and used ----


def test_thresholds_are_those_of_the_pure_function_and_stored_by_name(tuned, make_rows):
    output = tuned.predict(make_rows(seed=1))
    per = tuned.imbalance.decisions.tuned.per
    expected = tune_thresholds(output.predictions, output.label_ids, CHAIN, from_logits=True, per=per).as_dict()
    assert stored(tuned.model) == expected
    assert all(type(value) is float and 0 < value < 1 for value in stored(tuned.model).values())


def test_every_later_evaluation_and_prediction_decides_by_them(tuned, make_rows):
    for rows, seed in ((64, 1), (37, 5)):
        dataset = make_rows(rows, seed=seed)
        output, decided = decided_by_hand(tuned, dataset)
        gold = np.array(dataset["labels"])
        tp, predicted, support = (decided & (gold == 1)).sum(0), decided.sum(0), gold.sum(0)
        f1 = 2 * tp / np.maximum(predicted + support, 1)
        assert output.metrics["test_f1_macro"] == pytest.approx(f1.mean())
        assert tuned.evaluate(dataset)["eval_f1_macro"] == pytest.approx(f1.mean())
        assert (tuned.decision_rule.decide(output.predictions).numpy() == decided).all()
        assert output.metrics["test_violation_rate_closed"] == 0


def test_the_metrics_at_half_are_those_of_the_untuned_model(tuned, make_rows):
    output = tuned.predict(make_rows(seed=3))
    plain = ImbalanceMetrics(CHAIN, tuned.imbalance.distribution.support)
    plain.update(output.predictions, output.label_ids)
    assert tuned.metrics_at_half == plain.compute()
    tuned.predict(make_rows(seed=3).remove_columns("labels"))
    assert tuned.metrics_at_half is None


def test_options_reach_the_tuning(tuned, make_rows):
    options = TuningOptions("recall_at_precision", threshold_floor=0.7)
    tuning = tuned.tune_thresholds(make_rows(200, seed=8), options, n_bootstrap=20)
    assert (tuning.thresholds.low <= tuning.thresholds.high).all()
    assert tuning.objective == "recall_at_precision"


def test_a_saved_model_decides_the_same_in_another_process(tuned, make_rows, tmp_path):
    tuned.save_model(str(tmp_path / "saved"))
    dataset = make_rows(40, seed=9)
    dataset.save_to_disk(str(tmp_path / "rows"))
    _, decided = decided_by_hand(tuned, dataset)
    code = f"""
import datasets, json, transformers
from imbalance_trainer import ImbalanceTrainingArguments, WeightedFocalTrainer
model = transformers.AutoModelForSequenceClassification.from_pretrained({str(tmp_path / "saved")!r})
args = ImbalanceTrainingArguments(output_dir={str(tmp_path)!r}, use_cpu=True, disable_tqdm=True, report_to="none")
rows = datasets.load_from_disk({str(tmp_path / "rows")!r})
trainer = WeightedFocalTrainer(model, args, eval_dataset=rows)
output = trainer.predict(rows)
decided = trainer.decision_rule.decide(output.predictions).int().tolist()
json.dump([decided, output.metrics["test_f1_macro"]], open({str(tmp_path / "out.json")!r}, "w"))
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    theirs, f1 = json.loads((tmp_path / "out.json").read_text())
    assert theirs == decided.astype(int).tolist()
    assert f1 == tuned.predict(dataset).metrics["test_f1_macro"]


def test_the_words_name_label_threshold_and_both_results(tuned, capsys):
    tuned.tune_thresholds(n_bootstrap=20)
    said = capsys.readouterr().out
    assert "Thresholds tuned on 64 rows" in said
    assert f"{stored(tuned.model)['d']:.3f}" in said
    assert "0.5 -> tuned: secondary_f1_macro" in said
    assert max(map(len, said.splitlines())) <= 80
    tuned.evaluate()
    assert "decided by tuned thresholds; at 0.5: secondary_f1_macro" in capsys.readouterr().out


def test_on_the_rows_that_it_was_tuned_on_it_shows_what_cross_fitting_gives(tuned, make_rows, capsys):
    tuning, callback = tuned.imbalance.decisions.tuned, tuned._rare_label_callbacks()[0]
    tuned.evaluate(make_rows(seed=5))
    assert callback.history[-1]["cross_fitted"] is None
    stored_rows, metrics = stored(tuned.model, "tuned_on"), tuned.evaluate()
    entry, results = callback.history[-1], tuned.results_of("eval")
    assert entry["cross_fitted"] == "all"
    for name in ("f1_macro", "f1_micro", "secondary_f1_macro"):
        assert entry["metrics"][name] == results.shown[name] == stored_rows["cross_fitted"][name]
        assert entry["metrics"][name] == tuning.held_out[name] < metrics[f"eval_{name}"] == results.metrics[name]
    assert [row["f1"] for row in entry["labels"]] == tuning.held_out_table.f1.tolist()
    assert [row["threshold"] for row in results.labels] == list(stored(tuned.model).values())
    assert "The thresholds were tuned on these very rows: shown is what cross-fitting gives." in " ".join(
        capsys.readouterr().out.split()
    )
    tuned._decide_by(tuned.decision_rule.with_thresholds(0.4))
    tuned.evaluate()
    assert callback.history[-1]["cross_fitted"] is None


def measure_tuning(case, folder):
    """For two processes: the thresholds as each rank has them, and metrics by them."""
    trainer = make_exact_trainer(case, folder, make_rows(37, "multi-label", case.masked, seed=4))
    trainer.train()
    trainer.tune_thresholds(n_bootstrap=0)
    mine = torch.tensor(list(trainer.decision_rule.by_label().values()), dtype=torch.float64)
    others = trainer.accelerator.gather(mine[None])
    return {"thresholds": others, "f1": trainer.evaluate()["eval_f1_macro"]}


@pytest.mark.distributed
def test_both_ranks_have_the_thresholds_of_one_process(tmp_path):
    case = Case(masked=True)
    (two,) = in_two_processes([Case(batch=8, masked=True)], "tests.test_tuned_trainer:measure_tuning")
    one = measure_tuning(case, str(tmp_path))
    assert (two["thresholds"][0] == two["thresholds"][1]).all()
    torch.testing.assert_close(two["thresholds"][0], one["thresholds"][0], rtol=1e-5, atol=0)
    assert two["f1"] == pytest.approx(one["f1"])


# ---- thresholds belong to weights ----


def test_training_drops_them_and_says_so(tuned, caplog):
    tuned.train()
    assert "its config's thresholds are dropped" in caplog.text
    assert stored(tuned.model) is None
    assert not tuned.decision_rule.is_tuned


@pytest.mark.parametrize("given", [0.3, "0.3", {"c": 0.3}, '{"c": 0.3}', [0.5, 0.5, 0.3, 0.5]])
def test_thresholds_set_by_hand_stay_through_training(given, make_trainer, make_args, make_model, caplog):
    trainer = make_trainer(args=make_args(max_steps=1), label_schema=CHAIN, thresholds=given)
    everywhere = str(given) == "0.3"
    wanted = {name: 0.3 if everywhere or name == "c" else 0.5 for name in NAMES}
    trainer.train()
    assert stored(trainer.model) == trainer.decision_rule.by_label() == wanted
    assert "dropped" not in caplog.text
    trainer.tune_thresholds(**QUICK)
    trainer.train()
    assert stored(trainer.model) == wanted
    own = {"train_dataset": trainer.train_dataset, "label_schema": CHAIN, "thresholds": given}
    fresh = WeightedFocalTrainer(None, make_args(max_steps=1), model_init=lambda: make_model(), **own)
    fresh.train()
    assert stored(fresh.model) == wanted


@pytest.mark.parametrize(
    ("given", "said"),
    [({"e": 0.3}, "'e'"), (1.5, r"lies in \(0, 1\); got 1.5"), ("t.json", "number, JSON or the path of a JSON file")],
)
def test_thresholds_that_cannot_be_set(given, said, make_trainer):
    with pytest.raises(UsageError, match=said):
        make_trainer(label_schema=CHAIN, thresholds=given)


def best_model_args(make_args):
    return make_args(
        max_steps=4, learning_rate=3e-3, eval_strategy="steps", eval_steps=2, save_strategy="steps", save_steps=2,
        load_best_model_at_end=True, metric_for_best_model="secondary_f1_macro",
    )  # fmt: skip


def test_the_best_checkpoint_gets_the_thresholds_of_the_best_model_and_brings_them_along(make_trainer, make_args):
    trainer = make_trainer(args=best_model_args(make_args), label_schema=CHAIN)
    trainer.train()
    trainer.tune_thresholds(**QUICK)
    best = Path(trainer.state.best_model_checkpoint)
    curves, run = (json.loads((best.parent / name).read_text()) for name in ("precision_recall.json", "run.json"))
    assert curves["step"] == run["settings"]["best_step"] == trainer.state.best_global_step
    assert read_run(best.parent).current["cross_fitted"] == "all"  # what is saved, as it decides
    loaded = RobertaForSequenceClassification.from_pretrained(best)
    assert stored(loaded) == stored(trainer.model)
    others = [folder for folder in best.parent.glob("checkpoint-*") if folder != best]
    assert all(stored(RobertaForSequenceClassification.from_pretrained(folder)) is None for folder in others)
    assert not list(best.glob("*.tmp"))
    config = json.loads((best / "config.json").read_text())
    config[CONFIG_KEY]["thresholds"] = dict(zip(NAMES, [0.1, 0.2, 0.3, 0.4], strict=True))
    (best / "config.json").write_text(json.dumps(config))
    trainer._load_best_model()
    assert trainer.decision_rule.by_label() == stored(trainer.model) == config[CONFIG_KEY]["thresholds"]


def test_a_fresh_model_of_model_init_brings_no_thresholds_into_training(make_trainer, make_args, make_model, tmp_path):
    model = make_model()
    CHAIN.to_config(model.config, thresholds=dict.fromkeys(NAMES, 0.3))
    model.save_pretrained(tmp_path / "tuned")
    load = lambda: RobertaForSequenceClassification.from_pretrained(tmp_path / "tuned")  # noqa: E731
    trainer = WeightedFocalTrainer(
        None, make_args(), train_dataset=make_trainer().train_dataset, model_init=load, label_schema=CHAIN
    )
    assert trainer.decision_rule.is_tuned
    trainer.train()
    assert not trainer.decision_rule.is_tuned
    assert stored(trainer.model) is None


def test_a_resumed_training_leaves_the_thresholds_of_its_checkpoint_behind(make_trainer, make_args):
    first = make_trainer(args=best_model_args(make_args), label_schema=CHAIN)
    first.train()
    first.tune_thresholds(**QUICK)
    best = first.state.best_model_checkpoint
    longer = best_model_args(make_args)
    longer.max_steps, longer.load_best_model_at_end = 8, False
    second = make_trainer(args=longer, label_schema=CHAIN)
    second.train(resume_from_checkpoint=best)
    assert not second.decision_rule.is_tuned
    assert stored(second.model) is None


def test_a_users_own_imbalance_metrics_decide_by_the_thresholds_too(make_trainer, make_args, make_rows):
    own = ImbalanceMetrics(CHAIN)
    trainer = make_trainer(args=make_args(max_steps=5), label_schema=CHAIN, compute_metrics=own)
    trainer.train()
    trainer.tune_thresholds(**QUICK)
    metrics = trainer.evaluate(make_rows(seed=5))
    assert own.rule is trainer.decision_rule
    assert metrics["eval_f1_macro"] == pytest.approx(float(trainer.imbalance.metrics.table.f1.mean()))


def measure_failure(case, folder):
    """For two processes: what each rank says where no label has a positive."""
    trainer = make_exact_trainer(
        case, folder, make_rows(16, "multi-label", False).map(lambda row: {"labels": [0.0] * 4})
    )
    try:
        trainer.tune_thresholds(n_bootstrap=0)
    except DataError as error:
        said = torch.tensor([len(str(error))])
    return {"said": trainer.accelerator.gather(said)}


@pytest.mark.slow
@pytest.mark.distributed
def test_every_rank_hears_of_an_error():
    (result,) = in_two_processes([Case(batch=8)], "tests.test_tuned_trainer:measure_failure")
    assert result["said"].tolist()[0] == result["said"].tolist()[1] > 20


def test_a_model_with_baked_thresholds_is_not_trained(make_trainer, make_model):
    model = make_model()
    setattr(model.config, CONFIG_KEY, {"baked_thresholds": {}})
    with pytest.raises(UsageError, match="train the model that it was exported from"):
        make_trainer(model=model)


# ---- constraint and closing ----


def test_evaluation_alone_closes_and_constrains_as_in_training(make_trainer, make_args, make_rows, tmp_path):
    args = {"constraint": "none", "hierarchy_policy": "add_parent"}
    trainer = make_trainer(args=make_args(**args), label_schema=CHAIN)
    trainer.train()
    trainer.save_model(str(tmp_path / "saved"))
    metrics = trainer.evaluate()
    model = RobertaForSequenceClassification.from_pretrained(tmp_path / "saved")
    alone = WeightedFocalTrainer(model, make_args(), eval_dataset=make_rows(seed=1))
    assert (alone.imbalance.options.constraint, alone.imbalance.options.hierarchy_policy) == (
        "none",
        "add_parent",
    )
    again = alone.evaluate()
    same = ("eval_loss", "eval_f1_macro", "eval_secondary_f1_macro", "eval_mean_average_precision")
    assert [again[name] for name in same] == pytest.approx([metrics[name] for name in same])
    other = WeightedFocalTrainer(model, make_args(), eval_dataset=make_rows(seed=1), hierarchy_policy="add_parent")
    assert other.decision_rule.hierarchy_policy == "add_parent"
    default = WeightedFocalTrainer(model, make_args(), eval_dataset=make_rows(seed=1), hierarchy_policy="drop_child")
    assert default.decision_rule.hierarchy_policy == "drop_child"
    with_training_data = make_trainer(model=model)
    assert with_training_data.decision_rule.hierarchy_policy == "drop_child"  # what the last trainer wrote


# ---- refused ----


def test_what_cannot_be_tuned_is_refused(make_trainer, make_rows):
    single = make_trainer(train_dataset=make_rows(kind="classes"), eval_dataset=make_rows(kind="classes"))
    with pytest.raises(UsageError, match="for two classes; in this one the largest score decides"):
        single.tune_thresholds()
    with pytest.raises(UsageError, match="but there is none; give eval_dataset="):
        make_trainer(eval_dataset=None).tune_thresholds()
    several = make_trainer(eval_dataset={"x": make_rows(seed=1), "y": make_rows(seed=2)})
    with pytest.raises(UsageError, match="but there are 'x', 'y'; give eval_dataset="):
        several.tune_thresholds()
    several.tune_thresholds(several.eval_dataset["x"], **QUICK)
    trainer = make_trainer()
    with pytest.raises(DataError, match="has no labels"):
        trainer.tune_thresholds(make_rows(seed=1).remove_columns("labels"))
    assert not trainer.decision_rule.is_tuned
    with pytest.raises(UsageError, match="needs a floor"):
        trainer.tune_thresholds(options=TuningOptions("recall_at_precision"))
    nothing = Dataset.from_dict({**make_rows(8).to_dict(), "labels": [[0] * 4] * 8})
    with pytest.raises(DataError, match="No label has a positive"):
        trainer.tune_thresholds(nothing)
    assert stored(trainer.model) is None


def test_a_tuned_model_is_trained_on_other_labels_without_its_thresholds(make_trainer, make_model, caplog):
    model = make_model()
    CHAIN.to_config(model.config, thresholds=dict.fromkeys(NAMES, 0.3))
    other = LabelSchema(["w", "x", "y", "z"])
    model.config.id2label = dict(enumerate(other.names))
    model.config.imbalance_trainer.pop("groups"), model.config.imbalance_trainer.pop("implications")
    trainer = make_trainer(model=model, label_schema=other)
    assert not trainer.decision_rule.is_tuned
    assert "are of other labels, and are dropped" in caplog.text


# ---- two classes ----


@pytest.fixture
def two_classes(make_trainer, make_args, make_model, make_rows):
    rows = [make_rows(300, 2, seed, "classes", [0.5, 0.3]) for seed in (0, 1)]
    model = make_model(2, id2label={0: "ham", 1: "spam"}, problem_type="single_label_classification")
    args = make_args(max_steps=12, learning_rate=3e-3)
    trainer = make_trainer(model, args, rows[0], eval_dataset=rows[1])
    trainer.train()
    return trainer, rows[1]


def test_of_two_classes_the_rarer_has_a_threshold_and_everything_decides_by_it(two_classes, tmp_path, capsys):
    trainer, rows = two_classes
    tuning = trainer.tune_thresholds(**QUICK)
    assert tuning.positive == "spam"
    assert tuning.thresholds.support.tolist() == np.bincount(rows["labels"]).tolist()
    assert "The positive class is 'spam'" in capsys.readouterr().out
    output, gold = trainer.predict(rows), np.array(rows["labels"])
    probability = torch.tensor(output.predictions).double().softmax(-1)[:, 1].numpy()
    values = {t: f1_score(gold, probability > t) for t in [0.5, *np.unique(probability) - 1e-9]}
    threshold = stored(trainer.model)["spam"]
    assert stored(trainer.model)["ham"] == pytest.approx(1 - threshold)
    decided = (probability > threshold).astype(int)
    assert f1_score(gold, decided) == pytest.approx(max(values.values()), abs=0.02)  # shrunk towards itself: none
    assert output.metrics["test_f1_macro"] == pytest.approx(f1_score(gold, decided, average="macro"))
    assert (trainer.decision_rule.decide(output.predictions)[:, 1].numpy() == decided).all()
    trainer.save_model(tmp_path / "two")
    again = WeightedFocalTrainer(
        RobertaForSequenceClassification.from_pretrained(tmp_path / "two"), trainer.args, eval_dataset=rows
    )
    assert again.evaluate()["eval_f1_macro"] == pytest.approx(output.metrics["test_f1_macro"])
    bake_thresholds(again.model)
    with torch.no_grad():
        logits = again.model(
            input_ids=torch.tensor(rows["input_ids"]), attention_mask=torch.tensor(rows["attention_mask"])
        ).logits
    assert (logits.argmax(-1).numpy() == decided).all()


def test_a_threshold_of_two_classes_by_hand(two_classes, make_trainer, make_args, make_model, make_rows):
    rule = two_classes[0].decision_rule.with_thresholds({"spam": 0.3})
    assert rule.by_label() == pytest.approx({"ham": 0.7, "spam": 0.3})
    logits = torch.tensor([[0.0, -0.8], [0.0, -0.9], [3.0, 1.0]])  # spam: 0.31, 0.29, 0.12
    assert rule.decide(logits).tolist() == [[False, True], [True, False], [True, False]]
    for given in (0.3, {"ham": 0.6, "spam": 0.6}):
        with pytest.raises(UsageError, match="so that their thresholds add up to 1"):
            rule.with_thresholds(given)
    three = make_rows(64, 3, 0, "classes")
    with pytest.raises(UsageError, match="Thresholds are for multi-label problems and for two classes"):
        make_trainer(make_model(3), make_args(), three, eval_dataset=three, thresholds=0.4)
