"""The model card: valid for the Hub, true to the evaluations, and its code runs."""

import math
import re

import numpy as np
import pytest
import torch
import yaml
from datasets import Dataset
from huggingface_hub import ModelCard
from transformers import RobertaForTokenClassification, Trainer, ViTConfig, ViTForImageClassification
from transformers.modelcard import TrainingSummary

from imbalance_trainer import LabelSchema, WeightedFocalTrainer
from imbalance_trainer.cli.models import load_saved_model
from imbalance_trainer.data.demo import demo_model
from imbalance_trainer.decisions.rule import DecisionRule
from imbalance_trainer.monitor.run_files import Results
from imbalance_trainer.reports.model_card import CardContent, metadata, model_card
from imbalance_trainer.training.callbacks import RareLabelCallback
from imbalance_trainer.utils.numeric import wilson_interval

NAMES = ["a|b", "new\nline", "<c>", "d `tick` *star* _under_"]
QUICK = {"n_bootstrap": 0}


def card_of(trainer, **given):
    trainer.create_model_card(**given)
    return ModelCard.load(f"{trainer.args.output_dir}/README.md")


def section(text, heading):
    level = heading.split()[0]
    return re.split(rf"^#{{1,{len(level)}}} ", text.partition(f"\n{heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def table(text):
    """Rows of the first table: cells as a reader sees them."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    unescape = lambda cell: re.sub(r"\\(.)", r"\1", cell.strip()).replace("&amp;", "&")  # noqa: E731
    rows = [[unescape(cell) for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


@pytest.fixture
def finished(make_trainer, make_args, make_rows):
    """A run that loaded its best checkpoint, tuned thresholds, and was tested."""
    args = make_args(max_steps=4, learning_rate=3e-3, eval_strategy="steps", eval_steps=1, save_strategy="steps",
                     save_steps=1, load_best_model_at_end=True, metric_for_best_model="f1_macro")  # fmt: skip
    trainer = make_trainer(args=args, label_schema=LabelSchema(NAMES))
    trainer.train()
    trainer.tune_thresholds(**QUICK)
    trainer.test_output = trainer.predict(make_rows(48, seed=7))
    trainer.save_model()
    return trainer


def test_eval_results_are_those_of_the_evaluations(finished):
    card = card_of(finished, dataset="my data", language="en", license="mit", tags="news")
    assert card.data.model_name == "out"
    by_split = {}
    for result in card.data.eval_results:
        assert (result.task_type, result.dataset_name, result.dataset_type) == (
            "text-classification", "my data", "my-data")  # fmt: skip
        by_split.setdefault(result.dataset_split, {})[result.metric_name] = result.metric_value
    step = finished.state.best_global_step
    logged = next(log for log in finished.state.log_history if log["step"] == step and "eval_loss" in log)
    for split, metrics in (("eval", logged), ("test", finished.test_output.metrics)):
        assert len(by_split[split]) > 10
        assert by_split[split] == {name: metrics[f"{split}_{name}"] for name in by_split[split]}
        assert by_split[split]["secondary_f1_macro"] == metrics[f"{split}_secondary_f1_macro"]
        assert not any(name.startswith("n_labels") for name in by_split[split])
    kinds = {result.metric_name: result.metric_type for result in card.data.eval_results}
    assert [kinds[name] for name in ("f1_tail", "secondary_recall", "subset_accuracy")] == ["f1", "recall", "accuracy"]
    assert kinds["mean_average_precision"] == "mean_average_precision"
    assert (card.data.language, card.data.license) == ("en", "mit")
    assert {"news", "generated_from_trainer", "imbalance-trainer"} <= set(card.data.tags)


def test_each_number_says_where_it_was_measured(finished):
    text = card_of(finished).text
    step = finished.state.best_global_step
    how = section(text, "## Results")
    assert f"**eval**: 64 rows, with the weights that are saved, of step {step}, decided at 0.5, which was be" in how
    assert "The checkpoint was chosen by `eval_f1_macro` on these rows, so its numbers flatter." in how
    assert "**test**: 48 rows" in how
    assert "by the tuned thresholds below, which were tuned on another data set." in how
    rows = {row["metric"].strip("`"): row for row in table(how)}
    assert list(rows["f1_macro"]) == ["metric", "eval", "test", "test at 0.5"]
    assert rows["f1_macro"]["test"] == f"{finished.test_output.metrics['test_f1_macro']:.4f}"
    assert rows["f1_macro"]["test at 0.5"] == f"{finished.metrics_at_half['f1_macro']:.4f}"
    assert rows["n_labels_without_recall"]["test"].isdigit()


def test_thresholds_that_were_tuned_on_the_same_rows_are_called_so(finished):
    finished.evaluate()
    assert finished.results_of("eval").tuned_on_this_data is True
    assert finished.results_of("test").tuned_on_this_data is False
    text = card_of(finished).text
    assert "which were tuned on **these very rows**: the metrics below are cross-fitted" in text
    shown = {row["metric"].strip("`"): row for row in table(section(text, "## Results"))}["f1_macro"]
    assert shown["eval, cross-fitted"] == f"{finished.imbalance.decisions.tuned.held_out['f1_macro']:.4f}"


def test_labels_of_the_test_data_with_support_and_interval(finished):
    output = finished.test_output
    gold, decided = np.array(output.label_ids) == 1, finished.decision_rule.decide(output.predictions).numpy()
    text = card_of(finished).text
    rows = table(section(text, "## Results per label").partition("### test")[2])
    order = np.argsort(finished.imbalance.distribution.support, kind="stable")
    assert [row["label"] for row in rows] == [" ".join(NAMES[i].split()) for i in order]
    for row, i in zip(rows, order, strict=True):
        support, right = gold[:, i].sum(), (gold & decided)[:, i].sum()
        low, high = wilson_interval(right, support)
        assert (row["support"], row["recall"]) == (str(support), f"{right / support:.2f}")
        assert row["95% interval"] == f"{low:.2f} to {high:.2f}"
        if decided[:, i].any():
            assert row["precision"] == f"{right / decided[:, i].sum():.2f}"
        assert row["threshold"] == f"{finished.decision_rule.by_label()[NAMES[i]]:.3g}"
    weights = {row["label"]: row["weight"] for row in table(section(text, "## Thresholds and class weights"))}
    assert weights == {" ".join(n.split()): f"{w:.3g}" for n, w in finished.imbalance.class_weights.as_dict().items()}


def test_an_evaluation_of_other_weights_is_not_passed_off_as_of_these(make_trainer, make_args):
    trainer = make_trainer()
    trainer.train()
    trainer.evaluate()
    trainer.state.global_step = 3  # as where a user trains on by hand
    text = card_of(trainer).text
    assert "with the weights of step 2, while those that are saved are of step 3, decided at 0.5." in text
    assert "chosen by" not in text


def test_results_of_an_earlier_run_of_the_trainer_are_forgotten(make_trainer, make_args, make_rows):
    trainer = make_trainer(args=make_args(max_steps=2))
    trainer.train()
    trainer.predict(make_rows(seed=2))
    trainer.train()
    assert trainer.results_of("test") is None


def test_the_best_evaluation_is_found_in_the_history_where_a_resumed_run_has_it_not(finished):
    best = finished.results_of("eval")
    finished.imbalance.results.clear()
    assert finished.results_of("eval").step == best.step == finished.state.best_global_step
    assert finished.results_of("eval").metrics == pytest.approx(best.metrics)
    assert card_of(finished).data.eval_results[0].dataset_split == "eval"
    finished.remove_callback(RareLabelCallback)
    assert finished.results_of("eval") is None


def test_the_code_of_the_card_runs(make_trainer, make_args, make_rows, tmp_path, monkeypatch, capsys):
    names = ["hateful", "insults", "threats", "quoted"]
    model, tokenizer = demo_model(LabelSchema(names))
    trainer = make_trainer(model=model, args=make_args(output_dir=str(tmp_path / "it's")), processing_class=tokenizer,
                           label_schema=LabelSchema(names))  # fmt: skip
    trainer.train()
    trainer._decide_by(DecisionRule(trainer.imbalance.schema, [0.01, 0.02, 0.999999, 0.03]))
    trainer.save_model()
    blocks = re.findall(r"^```python\n(.*?)^```", card_of(trainer).text, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    made = {}
    for block in blocks:
        exec(block, made)
    assert made["model"].config.id2label[2] == "threats"
    batch = made["tokenizer"]("what a clown", return_tensors="pt")
    scores = made["model"](**batch).logits.sigmoid()[0].tolist()
    found = made["classify"]("what a clown")
    assert {row["label"]: row["threshold"] for row in found} == {"hateful": 0.01, "insults": 0.02, "quoted": 0.03}
    assert {row["label"]: row["score"] for row in found} == pytest.approx(
        {"hateful": scores[0], "insults": scores[1], "quoted": scores[3]}
    )
    assert "hateful" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["single", "tokens"])
def test_other_problems(kind, make_trainer, make_model, make_rows, make_args):
    rows = make_rows(kind="classes")
    model = make_model(problem_type="single_label_classification")
    if kind == "tokens":
        rows = rows.map(
            lambda row: {"labels": [row["labels"] if i % 2 else -100 for i in range(len(row["input_ids"]))]}
        )
        model = make_model(cls=RobertaForTokenClassification)
    trainer = make_trainer(model=model, train_dataset=rows, eval_dataset=rows)
    trainer.train()
    trainer.evaluate()
    card = card_of(trainer)
    task = "token-classification" if kind == "tokens" else "text-classification"
    assert card.data.pipeline_tag == card.data.eval_results[0].task_type == task
    assert "decided by the largest score" in card.text
    assert "hreshold" not in card.text
    cls = "AutoModelForTokenClassification" if kind == "tokens" else "AutoModelForSequenceClassification"
    assert f"model = {cls}.from_pretrained(folder)" in card.text
    assert "No tokenizer was saved with it" in card.text


def test_a_model_of_pictures(make_trainer, make_args):
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = ViTForImageClassification(ViTConfig(**small, image_size=8, patch_size=4, num_labels=2))
    rng = np.random.default_rng(0)
    rows = Dataset.from_dict({"pixel_values": rng.random((8, 3, 8, 8)).tolist(), "labels": [[1, 0], [0, 1]] * 4})
    trainer = make_trainer(model=model, args=make_args(max_steps=1), train_dataset=rows, eval_dataset=rows)
    trainer.train()
    card = card_of(trainer)
    assert card.data.pipeline_tag == "image-classification"
    assert "AutoModelForImageClassification.from_pretrained(folder)" in card.text
    assert "No processor was saved with it" in card.text


def test_without_an_evaluation(make_trainer):
    trainer = make_trainer(eval_dataset=None)
    trainer.train()
    card = card_of(trainer)
    assert card.data.eval_results is None
    assert "The model was not evaluated." in card.text
    assert "No thresholds are tuned: 0.5 decides." in card.text


def test_an_evaluation_alone_claims_no_training(make_trainer, make_model, make_rows, make_args):
    trainer = WeightedFocalTrainer(make_model(problem_type="multi_label_classification"), make_args(),
                                   eval_dataset=make_rows())  # fmt: skip
    trainer.evaluate()
    text = card_of(trainer).text
    assert "evaluated, " not in text
    assert "4 labels, evaluated." in text
    assert "hyperparameters" not in text
    assert trainer.results_of("eval").step is None


def test_a_stock_problem_keeps_the_stock_card(make_model, make_args, make_rows, monkeypatch):
    seen = {}
    monkeypatch.setattr(Trainer, "create_model_card", lambda self, **given: seen.update(given))
    model = make_model(num_labels=1, problem_type="regression")
    trainer = WeightedFocalTrainer(model, make_args())
    assert trainer.imbalance is None
    trainer.create_model_card(model_name="mine", tags=["x"])
    assert {name: value for name, value in seen.items() if value is not None} == {"model_name": "mine", "tags": ["x"]}


def test_only_rank_zero_writes(make_trainer, monkeypatch, tmp_path):
    trainer = make_trainer()
    monkeypatch.setattr(trainer, "is_world_process_zero", lambda: False)
    trainer.create_model_card()
    assert not (tmp_path / "out" / "README.md").exists()


def test_an_adapter_says_how_it_is_loaded(make_model, make_trainer, tmp_path):
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForSequenceClassification

    make_model(problem_type="multi_label_classification").save_pretrained(tmp_path / "base")
    base = AutoModelForSequenceClassification.from_pretrained(tmp_path / "base")
    model = get_peft_model(base, LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query"]))
    trainer = make_trainer(model=model)
    trainer.train()
    tuned = trainer.tune_thresholds().rule
    trainer.evaluate()
    trainer.save_model()
    card = card_of(trainer, tags="news", finetuned_from=str(tmp_path / "base"))
    assert card.data.library_name == "peft"
    assert {"news", "generated_from_trainer", "lora"} <= set(card.data.tags)
    assert len(card.data.eval_results) > 10
    assert "- PEFT" in card.text
    (block,) = re.findall(r"^```python\n(.*?)^```", card.text, re.MULTILINE | re.DOTALL)
    made = {}
    exec(block.replace("'out'", repr(str(tmp_path / "out"))), made)
    assert isinstance(made["model"], PeftModel)
    demo_model(trainer.imbalance.schema)[1].save_pretrained(tmp_path / "out")
    loaded, _ = load_saved_model(tmp_path / "out")  # as evaluate and predict do
    ids = torch.tensor([[5, 6, 7]])
    expected = trainer.model.eval()(ids).logits
    for model in (made["model"].eval(), loaded):
        assert DecisionRule.from_config(model.config).by_label() == tuned.by_label()
        assert torch.allclose(model(ids).logits, expected, atol=1e-5)


def test_a_card_that_is_there_keeps_its_tags_and_a_broken_one_is_replaced(make_trainer, tmp_path):
    trainer = make_trainer()
    trainer.create_model_card(tags="first")
    assert {"first", "second"} <= set(card_of(trainer, tags="second").data.tags)
    (tmp_path / "out" / "README.md").write_text("---\nno: [yaml\n---\n")
    assert card_of(trainer).data.tags == ["generated_from_trainer", "imbalance-trainer"]


# ---- the text, from content ----


def content(n_labels=3, metrics=None, **changes):
    schema = LabelSchema([f"label {i}" for i in range(n_labels)])
    rows = [
        {"label": name, "support": i, "predicted": 1, "true_positives": min(i, 1), "recall": min(i, 1) / max(i, 1),
         "precision": float(i > 0), "f1": 0.5, "average_precision": float("nan")}
        for i, name in enumerate(schema.names)
    ]  # fmt: skip
    results = Results("test", 5, {"f1_macro": 0.25} if metrics is None else metrics, rows, 20)
    settings = {"results": [results], "folder": "folder", "is_multi_label": True, "head": "SequenceClassification"}
    return CardContent(TrainingSummary("name"), schema, **{**settings, **changes})


def test_no_nan_gets_into_the_metadata():
    metrics = {"f1_macro": 0.5, "loss": math.nan, "hamming_loss": math.inf, "precision_micro": None}
    text = model_card(content(metrics=metrics))
    head = text.split("---\n")[1]
    assert "nan" not in head
    assert "inf" not in head
    assert [r.metric_name for r in ModelCard(text).data.eval_results] == ["f1_macro"]
    shown = {row["metric"].strip("`"): row["test"] for row in table(section(text, "## Results"))}
    assert shown == {"f1_macro": "0.5000", "loss": "–", "hamming_loss": "–", "precision_micro": "–"}


def test_a_model_index_has_task_dataset_and_metrics_even_where_the_data_has_no_name():
    (index,) = yaml.safe_load(metadata(content()).to_yaml())["model-index"]
    (result,) = index["results"]
    assert result["task"] == {"type": "text-classification", "name": "Text Classification"}
    assert result["dataset"] == {"name": "unknown", "type": "unknown", "split": "test"}
    assert result["metrics"] == [{"type": "f1", "value": 0.25, "name": "f1_macro"}]


def test_many_labels_are_the_rarest_and_a_line():
    text = model_card(content(735))
    part = section(text, "## Results per label")
    assert [row["label"] for row in table(part)] == [f"label {i}" for i in range(20)]
    assert "715 more labels are in `label_history.jsonl`." in part
    assert table(part)[0]["recall"] == "–"  # no positive, no recall
    assert table(part)[1]["recall"] == "1.00"
    assert table(part)[0]["average precision"] == "–"
    assert "Of 10 of these labels there are fewer than 10 positives" in part


def test_a_threshold_of_now_is_not_shown_beside_a_recall_of_then():
    schema = content().schema
    then = content().results[0]
    then = Results(then.split, 5, then.metrics, then.labels, 20, None, dict.fromkeys(schema.names, 0.3), True, None)
    text = model_card(content(results=[then], rule=DecisionRule(schema, [0.1, 0.2, 0.4]), step=5))
    assert {row["threshold"] for row in table(section(text, "## Results per label"))} == {"0.3"}
    assert [row["threshold"] for row in table(section(text, "## Thresholds"))] == ["0.1", "0.2", "0.4"]
    assert "by tuned thresholds of then" in text


def test_a_model_without_a_config_has_a_card(make_model, make_trainer):
    class Bare(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, input_ids, attention_mask=None, labels=None):
            return {"logits": self.inner(input_ids, attention_mask).logits}

    trainer = make_trainer(model=Bare(make_model()), label_schema=NAMES)
    trainer.evaluate()
    card = card_of(trainer)
    assert card.data.eval_results
    assert "has no config.json: load its weights into an object of its class" in card.text


def test_a_base_model_is_named_by_its_name_on_the_hub_and_never_by_a_folder(make_model, make_trainer, tmp_path):
    for path, said in (("owner/base", "fine-tuned from [owner/base](https://huggingface.co/owner/base)"),
                       (str(tmp_path), "fine-tuned from a local model"),
                       (str(tmp_path / "gone"), "fine-tuned from a local model"),
                       ("", "trained from scratch")):  # fmt: skip
        model = make_model()
        model.config._name_or_path = path
        card = card_of(make_trainer(model=model))
        assert said in card.text
        assert card.data.get("base_model") == ("owner/base" if path == "owner/base" else None)
        assert str(tmp_path) not in card.content


def test_thresholds_that_came_with_a_checkpoint_are_not_called_tuned_here(finished):
    for rule, known, said in (
        (finished.decision_rule, True, "tuned on **these very rows**"),  # its config remembers them
        (
            finished.decision_rule.with_thresholds(0.4),
            None,
            "were set by hand or tuned on data that is not known here",
        ),
    ):
        finished._decide_by(rule)
        finished.evaluate()
        assert finished.results_of("eval").tuned_on_this_data is known
        text = card_of(finished).text
        assert "The thresholds came with the model." in text
        assert said in text
