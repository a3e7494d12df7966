"""RareLabelCallback: what is printed, when, by whom, and what is kept in label_history.jsonl."""

from types import SimpleNamespace

import numpy as np
import pytest
from rich.cells import cell_len
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState

from imbalance_trainer import ImbalanceMetrics, LabelDistribution, LabelSchema, RareLabelCallback
from imbalance_trainer.labels.class_weights import compute_class_weights
from imbalance_trainer.monitor.run_files import CURVES_FILE, HISTORY_FILE, read_history
from imbalance_trainer.monitor.run_record import read_run
from imbalance_trainer.reports.report import diagnosed

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


ZERO_RECALL = np.array([[1, 1, 0]] * 39 + [[0, 0, 0]] * 6)
PERFECT = np.array([[1, 1, 0]] * 30 + [[1, 0, 1]] * 9 + [[0, 0, 0]] * 6)
TOO_OFTEN = np.array([[1, 1, 1]] * 39 + [[0, 0, 0]] * 6)


def test_weights_are_said_at_the_start_once(spoken, capsys):
    out = spoken.begin()
    (line,) = (line for line in out.splitlines() if line.startswith("praising"))
    assert line.split() == ["praising", "extremist", "acts", "2", "1.64", "60", "30", "10", "ratio", ">=", "30"]
    assert "secondary_* metrics count only the rows in which 'hateful' is 1." in out
    assert spoken.begin() == ""  # auto_find_batch_size starts again
    foreign = {"eval_loss": 1.0}  # metrics of others are left alone
    spoken.callback.on_evaluate(spoken.args, spoken.state, TrainerControl(), metrics=foreign)
    assert capsys.readouterr().out == ""


def test_the_table_is_rarest_first_with_changes(spoken):
    spoken.begin()
    first = spoken.evaluate(ZERO_RECALL, 10)
    names = [line.split("  ")[0] for line in first.splitlines() if line.startswith(tuple(SCHEMA.names))]
    assert names == ["praising extremist acts", "insults", "hateful"]
    assert "secondary_f1_macro" in first
    assert "1 of 3 labels have recall 0" in first
    second = spoken.evaluate(PERFECT, 20)
    (line,) = (line for line in second.splitlines() if line.startswith("praising"))
    assert line.split() == ["praising", "extremist", "acts", "9", "10", "1.00", "+1.00", "1.00", "+1.00"]
    assert "no label has recall 0" in second
    assert all(cell_len(line) <= 80 for line in (first + second).splitlines())


def test_zero_recall_is_warned_of_once_with_what_to_change(spoken):
    spoken.begin()
    assert "WARNING" not in spoken.evaluate(ZERO_RECALL, 10)
    out = spoken.evaluate(ZERO_RECALL, 20)
    assert "WARNING: 1 label never found: not learned yet." in out
    assert "0 of 9 found in the last 2 evaluations" in out
    assert "--custom_weights '{\"praising extremist acts\": 15}'" in out
    assert "--focal_gamma 3 (now 2)" in out
    assert "WARNING" not in spoken.evaluate(ZERO_RECALL, 30)
    spoken.evaluate(PERFECT, 40)
    spoken.evaluate(ZERO_RECALL, 50)
    assert "WARNING" in spoken.evaluate(ZERO_RECALL, 60)  # it came back


@pytest.mark.parametrize(("words", "is_said"), [([], True), (["train.yaml"], True), (["--learning_rate", "1"], False)])
def test_without_flags_of_its_own_a_script_is_told_once_what_flags_are_in_python(spoken, monkeypatch, words, is_said):
    monkeypatch.setattr("sys.argv", ["train.py", *words])
    spoken.begin()
    outs = [spoken.evaluate(ZERO_RECALL, 10), spoken.evaluate(ZERO_RECALL, 20)]
    outs += [spoken.evaluate(TOO_OFTEN, 30), spoken.evaluate(TOO_OFTEN, 40)]
    assert ["--focal_gamma" in out for out in outs] == [False, True, False, True]
    assert ["is focal_gamma=3" in out for out in outs] == [False, is_said, False, False]


@pytest.mark.parametrize("patience", [None, 1, 3, 50])
@pytest.mark.parametrize("min_precision", [0.05, 0.5])
def test_the_report_says_what_the_screen_said(spoken, tmp_path, patience, min_precision):
    spoken.callback = spoken.make(patience=patience, min_precision=min_precision)
    spoken.begin()
    for step, decided in enumerate(
        [PERFECT, ZERO_RECALL, ZERO_RECALL, TOO_OFTEN, TOO_OFTEN, TOO_OFTEN, ZERO_RECALL, ZERO_RECALL], start=1
    ):
        spoken.evaluate(decided, step)
        said = list(spoken.callback._found["eval"].values())
        assert diagnosed(read_run(tmp_path)) == said


def test_other_ranks_are_silent_and_write_nothing(spoken, tmp_path):
    spoken.state.is_world_process_zero = False
    assert spoken.begin() == ""
    assert spoken.evaluate(ZERO_RECALL, 10) == ""
    assert not (tmp_path / HISTORY_FILE).exists()


def test_each_set_has_its_own_history(spoken):
    spoken.begin()
    spoken.evaluate(ZERO_RECALL, 10, prefix="eval_a")
    assert "WARNING" not in spoken.evaluate(ZERO_RECALL, 10, prefix="eval_b")
    assert "WARNING" in spoken.evaluate(ZERO_RECALL, 20, prefix="eval_a")


def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(spoken, tmp_path):
    spoken.begin()
    for step in (10, 20):
        spoken.evaluate(ZERO_RECALL, step)
    spoken.evaluate(PERFECT, 30)
    undisturbed = read_history(tmp_path / HISTORY_FILE)
    spoken.state.global_step = 20  # the checkpoint that is resumed from
    spoken.state.log_history = spoken.state.log_history[:2]
    spoken.callback = spoken.make()
    spoken.begin()
    assert len(read_history(tmp_path / HISTORY_FILE)) == 2
    assert "+1.00" in spoken.evaluate(PERFECT, 30)
    assert read_history(tmp_path / HISTORY_FILE) == undisturbed
    spoken.state.global_step = 20
    spoken.callback = spoken.make()
    spoken.begin()
    assert "WARNING" not in spoken.evaluate(ZERO_RECALL, 30)  # said before the stop


def test_the_history_of_an_earlier_run_is_kept_beside_the_new_one(spoken, tmp_path):
    spoken.begin()
    spoken.evaluate(ZERO_RECALL, 10)
    spoken.state.global_step = 0
    spoken.callback = spoken.make()
    said = " ".join(spoken.begin().split())
    assert f"NOTE: {tmp_path} holds an earlier run, whose model and report this one replaces" in said
    assert "holds an earlier run" not in spoken.begin()
    assert read_history(tmp_path / HISTORY_FILE) == []
    assert [entry["step"] for entry in read_history(tmp_path / "label_history.previous.jsonl")] == [10]


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
    entries = read_history(f"{args.output_dir}/{HISTORY_FILE}")
    assert [entry["step"] for entry in entries] == [1, 2, 3]
    assert {row["label"] for row in entries[0]["labels"]} == set(names)


def test_a_finished_run_that_is_resumed_has_its_test_once(make_trainer, make_rows, make_args, tmp_path):
    args = make_args(max_steps=4, eval_strategy="steps", eval_steps=2, save_strategy="steps", save_steps=2)

    def run(resume):
        trainer = make_trainer(args=args)
        trainer.train(resume_from_checkpoint=resume)
        trainer.predict(make_rows(seed=2))
        return [(e["split"], e["step"]) for e in read_history(tmp_path / "out" / HISTORY_FILE)]

    first = run(None)
    assert first == [("eval", 2), ("eval", 4), ("test", 4)]
    assert run(True) == first


def test_labels_that_the_best_model_does_not_find_are_counted(spoken, capsys):
    spoken.begin()
    for step, decided in enumerate([ZERO_RECALL, PERFECT], start=1):
        spoken.evaluate(decided, step)
    spoken.args.load_best_model_at_end, spoken.args.metric_for_best_model = True, "mean_average_precision"
    spoken.state.best_global_step, spoken.state.best_metric = 1, 0.5
    spoken.callback.on_train_end(spoken.args, spoken.state, TrainerControl())
    said = " ".join(capsys.readouterr().out.split())
    assert "The best model is loaded (mean_average_precision 0.5, of step 1, labels at recall 0: 1)." in said


def test_without_its_checkpoint_the_curves_of_a_best_model_stay(spoken, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / CURVES_FILE).write_text("of another run")
    monkeypatch.chdir(tmp_path / "elsewhere")
    spoken.begin()
    spoken.evaluate(PERFECT, 1)
    spoken.args.load_best_model_at_end, spoken.args.metric_for_best_model = True, "f1_macro"
    spoken.state.best_global_step, spoken.state.best_metric = 1, 0.5
    spoken.callback.on_train_end(spoken.args, spoken.state, TrainerControl())
    assert "of another run" not in (tmp_path / CURVES_FILE).read_text()


@pytest.mark.parametrize("disable_tqdm", [True, False])
def test_attached_to_the_stock_trainer_the_table_is_printed_and_no_dict(
    disable_tqdm, make_model, make_rows, make_args, capsys
):
    model = make_model(problem_type="multi_label_classification")
    args = make_args(max_steps=2, eval_strategy="steps", eval_steps=1, logging_steps=1, disable_tqdm=disable_tqdm)
    rows, metrics = make_rows(kind="floats"), ImbalanceMetrics(list("abcd"))
    trainer = Trainer(model, args, train_dataset=rows, eval_dataset=rows, compute_metrics=metrics)
    RareLabelCallback(metrics=metrics).attach(trainer)
    trainer.train()
    out = capsys.readouterr().out
    assert out.count("label (rarest first)") == 2
    assert "recall_a" not in out
    assert "'loss'" in out  # the training's own line stays
    assert "eval_recall_a" in trainer.state.log_history[-2]


@pytest.mark.parametrize("name", ["ProgressCallback", "PrinterCallback", "NotebookProgressCallback"])
def test_progress_callbacks_print_few_of_our_metrics(name, make_model, make_args):
    seen = []

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        seen.append(metrics)

    stock = type(name, (TrainerCallback,), {"on_evaluate": on_evaluate, "__module__": "transformers.somewhere"})
    trainer = Trainer(make_model(), make_args(), callbacks=[stock()])
    callback = RareLabelCallback(metrics=ImbalanceMetrics(["a", "b"]))
    callback.attach(trainer)
    metrics = {"eval_loss": 1.0, "eval_mine": 2.0, "eval_f1_a": 0.5, "eval_n_labels_without_recall": 0.5}
    metrics["eval_secondary_f1_macro"] = 0.5
    (progress,) = [c for c in trainer.callback_handler.callbacks if isinstance(c, stock)]
    progress.on_evaluate(None, None, None, metrics=metrics)
    trainer.remove_callback(callback)  # without a table too
    progress.on_evaluate(None, None, None, metrics=metrics)
    assert seen == [{"eval_loss": 1.0, "eval_mine": 2.0, "eval_secondary_f1_macro": 0.5}] * 2
