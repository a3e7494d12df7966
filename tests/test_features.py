"""What the stock Trainer can do, ours can do: one test for each row of docs/drop-in.md, on tiny models, offline."""

import json

import numpy as np
import pytest
import torch
import transformers
from datasets import Dataset
from torch import nn
from transformers import AutoModelForSequenceClassification, EarlyStoppingCallback, Trainer, TrainingArguments

from benchmarks.exactness import Case
from benchmarks.exactness import make_rows as exact_rows
from benchmarks.exactness import make_trainer as exact_trainer
from imbalance_trainer import LabelDistribution, LabelSchema, WeightedFocalTrainer, compute_class_weights
from imbalance_trainer.utils.errors import DataError

from .conftest import trained, vector

# ---- what users bring ----


def test_preprocess_logits_for_metrics(make_trainer):
    seen = []

    def own(prediction):
        seen.append(prediction.predictions.shape)
        return {"mine": 1.0}

    plain = make_trainer().evaluate()
    trainer = make_trainer(compute_metrics=own, preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(-1))
    metrics = trainer.evaluate()
    assert seen == [(64,)]
    assert metrics["eval_f1_macro"] == plain["eval_f1_macro"]  # ours are of the logits themselves


def test_own_optimizer_and_scheduler(make_trainer, make_model):
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.0 if step else 1.0)
    trainer = make_trainer(model=model, optimizers=(optimizer, scheduler))
    start = vector(model)
    end = trained(trainer)
    assert trainer.optimizer.optimizer is optimizer
    assert not torch.equal(start, end)


def test_early_stopping(make_trainer, make_args):
    args = make_args(
        max_steps=20, eval_strategy="steps", eval_steps=1, save_strategy="steps", save_steps=1, learning_rate=0.0,
        load_best_model_at_end=True, metric_for_best_model="secondary_f1_macro",
    )  # fmt: skip
    trainer = make_trainer(args=args, callbacks=[EarlyStoppingCallback(early_stopping_patience=2)])
    trainer.train()
    assert trainer.state.global_step == 3  # nothing changes, so that the second and third are no better


def test_save_strategy_best(make_trainer, make_args, tmp_path):
    args = make_args(
        max_steps=6, eval_strategy="steps", eval_steps=1, save_strategy="best", learning_rate=1e-2,
        metric_for_best_model="f1_macro", greater_is_better=True,
    )  # fmt: skip
    trainer = make_trainer(args=args)
    trainer.train()
    best = max(range(6), key=lambda i: [e["eval_f1_macro"] for e in trainer.state.log_history if "eval_loss" in e][i])
    assert (tmp_path / "out" / f"checkpoint-{best + 1}").is_dir()


@pytest.mark.parametrize("remove", [True, False])
def test_remove_unused_columns(remove, make_trainer, make_rows, make_args):
    rows = make_rows().add_column("note", ["text"] * 64)
    if not remove:
        rows = rows.remove_columns("note").add_column("note", [1] * 64)

    def collate(features):
        assert ("note" in features[0]) == (not remove)
        return transformers.default_data_collator([{k: v for k, v in f.items() if k != "note"} for f in features])

    trainer = make_trainer(train_dataset=rows, args=make_args(remove_unused_columns=remove), data_collator=collate)
    assert torch.equal(trained(trainer), trained(make_trainer()))


# ---- data ----


def test_streams_are_counted_from_their_beginning_and_it_is_said(make_trainer, make_rows, capsys):
    trainer = make_trainer(train_dataset=make_rows(n=20_010).to_iterable_dataset())
    trainer.train()
    assert "Class weights from 20,000 training rows (the first of a stream)" in capsys.readouterr().out
    whole = make_trainer(train_dataset=make_rows(n=20).to_iterable_dataset())
    whole.train()
    assert "from 20 training rows, rarest" in capsys.readouterr().out


def test_weights_from_counts_that_are_given(make_trainer, make_rows):
    schema = LabelSchema([f"LABEL_{i}" for i in range(4)])
    counts = LabelDistribution.from_counts([900_000, 300_000, 40_000, 9_000], 2_000_000, schema)
    weights = compute_class_weights(counts)
    trainer = make_trainer(train_dataset=make_rows().to_iterable_dataset(), class_weights=weights)
    assert trainer.imbalance.objective.weighted.loss.class_weights.tolist() == pytest.approx(weights.values.tolist())
    assert weights.values[3] == pytest.approx(10**0.5)


@pytest.mark.parametrize(("support", "message"), [([1, 2, 3], "Got 3 counts for 4"), ([1, 2, 3, 9], "'LABEL_3': 9")])
def test_counts_that_cannot_be_are_named(support, message):
    with pytest.raises(DataError, match=message):
        LabelDistribution.from_counts(support, 8, LabelSchema([f"LABEL_{i}" for i in range(4)]))


# ---- how it runs ----


@pytest.mark.parametrize("backend", ["eager", "aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_torch_compile(backend, make_trainer, make_args):
    args = make_args(torch_compile=True, torch_compile_backend=backend)
    compiled, plain = make_trainer(args=args), make_trainer()
    assert torch.allclose(trained(compiled), trained(plain), atol=1e-4 if backend == "inductor" else 1e-5)
    assert compiled.evaluate()["eval_f1_macro"] == plain.evaluate()["eval_f1_macro"]


@pytest.mark.slow
def test_torch_compile_with_inductor(make_trainer, make_args):
    compiled, plain = make_trainer(args=make_args(torch_compile=True)), make_trainer()
    assert torch.allclose(trained(compiled), trained(plain), atol=1e-4)


def test_bf16_autocast(make_trainer, make_args):
    trainer = make_trainer(args=make_args(bf16=True))
    assert torch.allclose(trained(trainer), trained(make_trainer()), atol=2e-3)
    assert np.isfinite(trainer.evaluate()["eval_loss"])


@pytest.mark.parametrize("full_eval", [False, True])
def test_a_model_in_bf16(full_eval, make_trainer, make_model, make_args):
    trainer = make_trainer(
        model=make_model().to(torch.bfloat16), args=make_args(bf16_full_eval=full_eval, label_smoothing_factor=0.1)
    )
    assert trained(trainer).isfinite().all()
    assert trainer.evaluate()["eval_loss"] == pytest.approx(make_trainer().evaluate()["eval_loss"], rel=0.2)


def test_gradient_checkpointing(make_trainer, make_args):
    trainer = make_trainer(args=make_args(gradient_checkpointing=True))
    assert torch.allclose(trained(trainer), trained(make_trainer()), atol=1e-6)


class OutOfMemory(nn.Module):
    """Takes at most four rows."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.config = inner, inner.config

    def forward(self, input_ids, attention_mask=None):
        if self.training and len(input_ids) > 4:
            raise RuntimeError("CUDA out of memory. Tried to allocate everything.")
        return self.inner(input_ids, attention_mask)


@pytest.mark.slow
def test_auto_find_batch_size(make_trainer, make_model, make_args, capsys):
    args = make_args(
        auto_find_batch_size=True, per_device_train_batch_size=16, max_steps=-1, num_train_epochs=1,
        eval_strategy="epoch",
    )  # fmt: skip
    trainer = make_trainer(model=OutOfMemory(make_model()), args=args)
    trainer.train()
    assert trainer.state.train_batch_size <= 4
    out = capsys.readouterr().out
    assert out.count("Class weights from") == 1
    assert out.count("label (rarest first)") == 1


# ---- models ----

SMALL = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 40,
    "max_position_embeddings": 32, "pad_token_id": 1,
}  # fmt: skip
FAMILIES = {
    "bert": SMALL,
    "roberta": SMALL,
    "distilbert": {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16, "vocab_size": 40,
                   "max_position_embeddings": 32, "pad_token_id": 1},
    "deberta": SMALL,
    "deberta-v2": SMALL,
    "modernbert": {**SMALL, "global_attn_every_n_layers": 1, "eos_token_id": 2, "bos_token_id": 3, "cls_token_id": 3,
                   "sep_token_id": 2},
    "xlnet": {"d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 16, "vocab_size": 40, "pad_token_id": 1},
    "electra": {**SMALL, "embedding_size": 16},
}  # fmt: skip


@pytest.mark.parametrize("kind", ["multi-hot", "classes"])
@pytest.mark.parametrize("family", FAMILIES)
def test_model_families(family, kind, make_trainer, make_rows, tmp_path):
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(family, **FAMILIES[family], num_labels=4)
    model = AutoModelForSequenceClassification.from_config(config)
    rows = make_rows(kind=kind)
    trainer = make_trainer(model=model, train_dataset=rows, eval_dataset=rows, label_schema=list("abcd"))
    start = vector(model)
    assert not torch.equal(start, trained(trainer))
    metrics = trainer.evaluate()
    trainer.save_model(str(tmp_path / "saved"))
    loaded, report = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved", output_loading_info=True)
    assert not report["unexpected_keys"] | report["missing_keys"]
    assert loaded.config.id2label[2] == "c"
    again = WeightedFocalTrainer(loaded, trainer.args, eval_dataset=rows).evaluate()
    assert again["eval_loss"] == pytest.approx(metrics["eval_loss"], rel=1e-5)
    assert again["eval_f1_macro"] == metrics["eval_f1_macro"]


def test_lora_trains_and_saves_the_head(make_trainer, make_model, tmp_path, caplog):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query", "value"])
    trainer = make_trainer(model=peft.get_peft_model(make_model(), config))
    head = [p for name, p in trainer.model.named_parameters() if "classifier" in name and p.requires_grad]
    before = [p.detach().clone() for p in head]
    trainer.train()
    assert head
    assert not any(map(torch.equal, head, before))
    assert "is frozen" not in caplog.text
    expected = trainer.evaluate()
    trainer.save_model(str(tmp_path / "adapter"))
    loaded = peft.PeftModel.from_pretrained(make_model(), tmp_path / "adapter")
    loaded.config.problem_type = "multi_label_classification"
    again = make_trainer(model=loaded).evaluate()
    assert again["eval_loss"] == pytest.approx(expected["eval_loss"], rel=1e-5)


def test_lora_without_the_head_is_warned_of(make_trainer, make_model, caplog):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=["query", "value"])
    make_trainer(model=peft.get_peft_model(make_model(), config))
    assert "The classification head (classifier) is frozen" in caplog.text
    assert "modules_to_save=['classifier']" in caplog.text


def test_token_classification_with_rare_entities(make_model, make_args, capsys):
    rng = np.random.default_rng(0)
    labels = rng.choice(4, (64, 8), p=[0.9, 0.06, 0.03, 0.01])
    labels[:, 0] = -100
    ids = np.where(labels > 0, 10 + labels, 5)
    rows = Dataset.from_dict({"input_ids": ids.tolist(), "labels": labels.tolist()})
    model = make_model(cls=transformers.RobertaForTokenClassification)
    model.config.id2label = dict(enumerate(["O", "PER", "LOC", "LAW"]))
    args = make_args(max_steps=60, learning_rate=1e-2, eval_strategy="steps", eval_steps=30)
    trainer = WeightedFocalTrainer(model, args, train_dataset=rows, eval_dataset=rows)
    assert trainer.imbalance.class_weights.as_dict()["LAW"] > trainer.imbalance.class_weights.as_dict()["PER"] > 1
    trainer.train()
    assert trainer.evaluate()["eval_recall_LAW"] > 0.5
    assert "Class weights from 448 training tokens, rarest label first" in capsys.readouterr().out
    assert model.config.problem_type is None  # pipeline() for tokens needs none


# ---- problems that are not ours ----


def test_other_problems_are_value_for_value_the_stock_trainers(make_model, make_args):
    """Regression with one and with several outputs, language modelling: updates, metrics and log."""
    rng = np.random.default_rng(0)
    ids = rng.integers(5, 30, (32, 6)).tolist()
    problems = {
        "regression": (make_model, {"num_labels": 1}, [float(v) for v in rng.normal(size=32)]),
        "several": (make_model, {"num_labels": 2, "problem_type": "regression"}, rng.normal(size=(32, 2)).tolist()),
        "language": (make_model, {"cls": transformers.RobertaForCausalLM, "is_decoder": True}, ids),
    }
    for name, (make, settings, labels) in problems.items():
        rows = Dataset.from_dict({"input_ids": ids, "labels": labels})
        logs = []
        for cls in (Trainer, WeightedFocalTrainer):
            args = make_args(cls=TrainingArguments, gradient_accumulation_steps=2, eval_strategy="steps", eval_steps=1)
            trainer = cls(make(**settings), args, train_dataset=rows, eval_dataset=rows)
            trainer.train()
            history = [
                {k: v for k, v in entry.items() if not k.endswith(("runtime", "per_second"))}
                for entry in trainer.state.log_history
            ]
            logs.append((history, vector(trainer.model).tolist()))
        assert logs[0] == logs[1], name


def test_tuple_outputs_are_exact_too(tmp_path):
    """return_dict=False, through the accumulation of benchmarks.exactness."""
    case = Case(rows=8, batch=2, steps=4)
    states = []
    for as_dict in (True, False):
        trainer = exact_trainer(case, str(tmp_path), exact_rows(8, "multi-label", False))
        trainer.model.config.return_dict = as_dict
        states.append((trained(trainer).tolist(), trainer.evaluate()["eval_loss"]))
    assert states[0] == states[1]


def test_the_log_is_json(make_trainer, make_args, tmp_path):
    trainer = make_trainer(args=make_args(eval_strategy="steps", eval_steps=1))
    trainer.train()
    trainer.save_state()
    state = json.loads((tmp_path / "out" / "trainer_state.json").read_text(), parse_constant=pytest.fail)  # of NaN
    assert state["log_history"] == trainer.state.log_history
    assert sum("eval_secondary_f1_macro" in entry for entry in state["log_history"]) == 2
