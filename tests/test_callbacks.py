"""RareLabelCallback: what is said, when, by whom, and what is kept in label_history.jsonl."""

from types import SimpleNamespace

import numpy as np
import pytest
from transformers import Trainer, TrainerControl, TrainerState

from imbalance_trainer import ImbalanceMetrics, LabelDistribution, LabelSchema, RareLabelCallback
from imbalance_trainer.labels.class_weights import compute_class_weights
from imbalance_trainer.monitor.history import FILE_NAME, read_history
from imbalance_trainer.monitor.run_record import read_run
from imbalance_trainer.reports.report import diagnosed
from imbalance_trainer.utils.text import display_width

SCHEMA = LabelSchema(["hateful", "insults", "praising extremist acts"], {"primary": ["hateful"]})
TRAIN = np.array([[1, 1, 0]] * 60 + [[1, 0, 1]] * 2 + [[0, 0, 0]] * 60)


@pytest.fixture
def counts():
    return LabelDistribution.from_labels(TRAIN, SCHEMA)


@pytest.fixture
def spoken(counts, tmp_path, capsys):
    """A callback in a run that is played to it, and what it printed."""

    class Run:
        def __init__(self):
            self.metrics = ImbalanceMetrics(SCHEMA, counts.support)
            self.args = SimpleNamespace(output_dir=str(tmp_path), learning_rate=2e-5, num_train_epochs=3, max_steps=-1)
            self.state = TrainerState(is_world_process_zero=True)
            self.callback = self.make()

        def make(self, **changes):
            weights = compute_class_weights(counts, weight_strategy="tiered")
            settings = {"metrics": self.metrics, "class_weights": weights, "distribution": counts, "focal_gamma": 2.0}
            return RareLabelCallback(**{**settings, **changes})

        def begin(self):
            capsys.readouterr()
            self.callback.on_train_begin(self.args, self.state, TrainerControl())
            return capsys.readouterr().out

        def evaluate(self, decided, step, prefix="eval"):
            """Gold is 30 rows of insults and 9 of praise; `decided` are logits as signs."""
            gold = np.array([[1, 1, 0]] * 30 + [[1, 0, 1]] * 9 + [[0, 0, 0]] * 6)
            self.metrics.update(np.where(decided, 3.0, -3.0), gold)
            values = {f"{prefix}_{k}": v for k, v in self.metrics.compute().items()}
            self.metrics.reset()
            values[f"{prefix}_loss"] = 0.5
            self.state.global_step, self.state.epoch = step, step / 10
            self.state.log_history.append({**values, "step": step, "epoch": step / 10})
            capsys.readouterr()
            self.callback.on_evaluate(self.args, self.state, TrainerControl(), metrics=values)
            return capsys.readouterr().out

    return Run()


SILENT = np.array([[1, 1, 0]] * 39 + [[0, 0, 0]] * 6)
PERFECT = np.array([[1, 1, 0]] * 30 + [[1, 0, 1]] * 9 + [[0, 0, 0]] * 6)
TOO_OFTEN = np.array([[1, 1, 1]] * 39 + [[0, 0, 0]] * 6)


def test_weights_are_said_at_the_start_once(spoken):
    out = spoken.begin()
    (line,) = (line for line in out.splitlines() if line.startswith("praising"))
    assert line.split() == ["praising", "extremist", "acts", "2", "1.64", "60", "30", "10", "ratio", ">=", "30"]
    assert spoken.begin() == ""  # auto_find_batch_size starts again


def test_the_table_is_rarest_first_with_changes(spoken):
    spoken.begin()
    first = spoken.evaluate(SILENT, 10)
    names = [line.split("  ")[0] for line in first.splitlines() if line.startswith(tuple(SCHEMA.names))]
    assert names == ["praising extremist acts", "insults", "hateful"]
    assert "secondary_f1_macro" in first
    assert "1 of 3 labels have recall 0" in first
    second = spoken.evaluate(PERFECT, 20)
    (line,) = (line for line in second.splitlines() if line.startswith("praising"))
    assert line.split() == ["praising", "extremist", "acts", "9", "10", "1.00", "+1.00", "1.00", "+1.00"]
    assert "every label is found" in second
    assert all(display_width(line) <= 80 for line in (first + second).splitlines())


def test_zero_recall_is_warned_of_once_with_what_to_change(spoken):
    spoken.begin()
    assert "WARNING" not in spoken.evaluate(SILENT, 10)
    out = spoken.evaluate(SILENT, 20)
    assert "WARNING: 1 label never found: not learned yet." in out
    assert "0 of 9 found in the last 2 evaluations" in out
    assert "--custom_weights '{\"praising extremist acts\": 15}'" in out
    assert "--focal_gamma 3 (now 2)" in out
    assert "WARNING" not in spoken.evaluate(SILENT, 30)
    spoken.evaluate(PERFECT, 40)
    spoken.evaluate(SILENT, 50)
    assert "WARNING" in spoken.evaluate(SILENT, 60)  # it came back


@pytest.mark.parametrize(("words", "is_said"), [([], True), (["train.yaml"], True), (["--learning_rate", "1"], False)])
def test_without_flags_of_its_own_a_script_is_told_once_what_flags_are_in_python(spoken, monkeypatch, words, is_said):
    monkeypatch.setattr("sys.argv", ["train.py", *words])
    spoken.begin()
    outs = [spoken.evaluate(SILENT, 10), spoken.evaluate(SILENT, 20)]
    outs += [spoken.evaluate(TOO_OFTEN, 30), spoken.evaluate(TOO_OFTEN, 40)]
    assert ["--focal_gamma" in out for out in outs] == [False, True, False, True]
    assert ["is focal_gamma=3" in out for out in outs] == [False, is_said, False, False]


def test_low_precision_is_warned_of(spoken):
    spoken.begin()
    assert "WARNING" not in spoken.evaluate(TOO_OFTEN, 10)  # which often passes
    out = spoken.evaluate(TOO_OFTEN, 20)
    assert "WARNING: 1 label predicted too often." in out
    assert "9 of 39 predictions are right (precision 0.23), recall 1.00; weight 10" in " ".join(out.split())
    assert "--custom_weights '{\"praising extremist acts\": 7}'" in out
    assert "--focal_gamma 1.5 (now 2)" in out


@pytest.mark.parametrize("patience", [None, 1, 3, 50])
@pytest.mark.parametrize("min_precision", [0.05, 0.5])
def test_the_report_says_what_the_screen_said(spoken, tmp_path, patience, min_precision):
    spoken.callback = spoken.make(patience=patience, min_precision=min_precision)
    spoken.begin()
    for step, decided in enumerate(
        [PERFECT, SILENT, SILENT, TOO_OFTEN, TOO_OFTEN, TOO_OFTEN, SILENT, SILENT], start=1
    ):
        spoken.evaluate(decided, step)
        said = list(spoken.callback._said["eval"].values())
        assert diagnosed(read_run(tmp_path)) == said


def test_patience_is_the_users(spoken):
    spoken.callback = spoken.make(patience=3)
    spoken.begin()
    outs = [spoken.evaluate(SILENT, step) for step in (10, 20, 30)]
    assert ["WARNING" in out for out in outs] == [False, False, True]


def test_other_ranks_are_silent_and_write_nothing(spoken, tmp_path):
    spoken.state.is_world_process_zero = False
    assert spoken.begin() == ""
    assert spoken.evaluate(SILENT, 10) == ""
    assert not (tmp_path / FILE_NAME).exists()


def test_each_set_has_its_own_history(spoken):
    spoken.begin()
    spoken.evaluate(SILENT, 10, prefix="eval_a")
    assert "WARNING" not in spoken.evaluate(SILENT, 10, prefix="eval_b")
    assert "WARNING" in spoken.evaluate(SILENT, 20, prefix="eval_a")


def test_metrics_of_others_are_left_alone(spoken, capsys):
    spoken.callback.on_evaluate(spoken.args, spoken.state, TrainerControl(), metrics={"eval_loss": 1.0})
    assert capsys.readouterr().out == ""


def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(spoken, tmp_path):
    spoken.begin()
    for step in (10, 20):
        spoken.evaluate(SILENT, step)
    spoken.evaluate(PERFECT, 30)
    undisturbed = read_history(tmp_path / FILE_NAME)
    spoken.state.global_step = 20  # the checkpoint that is resumed from
    spoken.state.log_history = spoken.state.log_history[:2]
    spoken.callback = spoken.make()
    spoken.begin()
    assert len(read_history(tmp_path / FILE_NAME)) == 2
    assert "+1.00" in spoken.evaluate(PERFECT, 30)
    assert read_history(tmp_path / FILE_NAME) == undisturbed


def test_what_was_warned_of_before_the_stop_is_not_said_again(spoken):
    spoken.begin()
    for step in (10, 20):
        spoken.evaluate(SILENT, step)
    spoken.callback = spoken.make()
    spoken.begin()
    assert "WARNING" not in spoken.evaluate(SILENT, 30)


def test_the_history_is_rebuilt_from_the_log_where_the_file_is_gone(spoken, tmp_path):
    spoken.begin()
    spoken.evaluate(SILENT, 10)
    before = read_history(tmp_path / FILE_NAME)
    (tmp_path / FILE_NAME).unlink()
    spoken.callback = spoken.make()
    spoken.begin()
    (entry,) = read_history(tmp_path / FILE_NAME)
    assert entry["step"] == 10
    kept = ("support", "predicted", "true_positives", "recall", "precision", "f1")
    by_label = {row["label"]: row for row in entry["labels"]}
    for row in before[0]["labels"]:
        assert [by_label[row["label"]][key] for key in kept] == [row[key] for key in kept]


def test_a_new_run_starts_a_new_history(spoken, tmp_path):
    spoken.begin()
    spoken.evaluate(SILENT, 10)
    spoken.state.global_step = 0
    spoken.begin()
    assert read_history(tmp_path / FILE_NAME) == []


def test_the_history_of_an_earlier_run_is_kept_beside_the_new_one(spoken, tmp_path):
    spoken.begin()
    spoken.evaluate(SILENT, 10)
    spoken.state.global_step = 0
    spoken.callback = spoken.make()
    said = " ".join(spoken.begin().split())
    assert f"NOTE: {tmp_path} holds an earlier run, whose model and report this one replaces" in said
    assert "holds an earlier run" not in spoken.begin()
    assert read_history(tmp_path / FILE_NAME) == []
    assert [entry["step"] for entry in read_history(tmp_path / "label_history.previous.jsonl")] == [10]


def test_it_is_said_what_secondary_metrics_count(spoken):
    assert "secondary_* metrics count only the rows in which 'hateful' is 1." in spoken.begin()


def test_a_line_cut_off_by_a_kill_is_left_out(spoken, tmp_path):
    spoken.begin()
    spoken.evaluate(SILENT, 10)
    with open(tmp_path / FILE_NAME, "a") as file:
        file.write('{"version": 1, "st')
    assert [entry["step"] for entry in read_history(tmp_path / FILE_NAME)] == [10]


def test_many_labels_show_the_rarest_and_keep_all(tmp_path, capsys):
    schema = LabelSchema([f"label number {i}" for i in range(735)])
    gold = (np.random.default_rng(0).random((200, 735)) < np.linspace(0.3, 0.01, 735)).astype(int)
    metrics = ImbalanceMetrics(schema, gold.sum(0))
    metrics.update(np.full(gold.shape, -3.0), gold)
    values = {f"eval_{k}": v for k, v in metrics.compute().items()}
    callback = RareLabelCallback(metrics=metrics)
    args, state = (
        SimpleNamespace(output_dir=str(tmp_path), learning_rate=2e-5, num_train_epochs=3, max_steps=-1),
        TrainerState(is_world_process_zero=True),
    )
    callback.on_evaluate(args, state, TrainerControl(), metrics=values)
    out = capsys.readouterr().out
    assert "... 715 more labels: mean recall 0.00, 7" in out
    assert f"all in {FILE_NAME}" in " ".join(out.split())
    assert len(out.splitlines()) < 40
    assert len(read_history(tmp_path / FILE_NAME)[0]["labels"]) == 735


def test_works_with_the_stock_trainer(make_model, make_rows, make_args, capsys):
    names = list("abcd")
    model = make_model(problem_type="multi_label_classification")
    LabelSchema(names).to_config(model.config)
    rows = make_rows(kind="floats", prevalence=[0.9, 0.5, 0.3, 0.05])
    args = make_args(max_steps=3, eval_strategy="steps", eval_steps=1, learning_rate=0.0)
    trainer = Trainer(
        model, args, train_dataset=rows, eval_dataset=rows, compute_metrics=ImbalanceMetrics(names),
        callbacks=[RareLabelCallback()],
    )  # fmt: skip
    trainer.train()
    out = capsys.readouterr().out
    assert out.count("label (rarest first)") == 3
    entries = read_history(f"{args.output_dir}/{FILE_NAME}")
    assert [entry["step"] for entry in entries] == [1, 2, 3]
    assert {row["label"] for row in entries[0]["labels"]} == set(names)


def test_a_finished_run_that_is_resumed_has_its_test_once(make_trainer, make_rows, make_args, tmp_path):
    args = make_args(max_steps=4, eval_strategy="steps", eval_steps=2, save_strategy="steps", save_steps=2)

    def run(resume):
        trainer = make_trainer(args=args)
        trainer.train(resume_from_checkpoint=resume)
        trainer.predict(make_rows(seed=2))
        return [(e["split"], e["step"]) for e in read_history(tmp_path / "out" / FILE_NAME)]

    first = run(None)
    assert first == [("eval", 2), ("eval", 4), ("test", 4)]
    assert run(True) == first


def test_a_best_model_that_is_silent_where_the_last_was_not_is_said():
    def entry(step, found):
        return {"step": step, "split": "eval", "labels": [{"label": "a", "support": 9, "true_positives": found}]}

    args = SimpleNamespace(metric_for_best_model="mean_average_precision")
    callback = RareLabelCallback()
    for silent_first in (True, False):
        callback.history = [entry(1, 0 if silent_first else 4), entry(2, 4 if silent_first else 0)]
        callback._model_step = 1
        lines = callback._silent_best(args)
        assert bool(lines) == silent_first
    callback.history, callback._model_step = [entry(1, 0), entry(2, 4)], 1
    said = " ".join(" ".join(callback._silent_best(args)).split())
    assert said.startswith("WARNING: 1 of 1 labels have recall 0 in it, and 0 at the last evaluation: mean_average")
    assert "--metric_for_best_model secondary_f1_macro" in said
