"""ImbalanceTextClassificationPipeline: what it decides is what evaluation decides, row by row."""

import logging

import numpy as np
import pytest
import torch
from transformers import pipeline

from imbalance_trainer import ImbalanceTextClassificationPipeline, ImbalanceTrainingArguments, WeightedFocalTrainer
from imbalance_trainer.data.demo import demo_data, demo_model
from imbalance_trainer.decisions.rule import DecisionRule
from imbalance_trainer.utils.constants import CONFIG_KEY, MULTI_LABEL
from imbalance_trainer.utils.errors import DataError, UsageError

N_TEXTS = 120


@pytest.fixture(scope="module")
def data():
    return demo_data(1)


@pytest.fixture(scope="module")
def texts(data):
    return data.splits["test"]["text"][:N_TEXTS]


@pytest.fixture
def model(data):
    """Untrained, with a head that scores all over the place, and its tokenizer."""
    net, tokenizer = demo_model(data.schema, 1)
    torch.manual_seed(0)
    head = [module for module in net.modules() if isinstance(module, torch.nn.Linear)][-1]
    torch.nn.init.normal_(head.weight, std=1.0)
    net.config.problem_type = MULTI_LABEL
    data.schema.to_config(net.config)
    return net.eval(), tokenizer


def with_rule(model, schema, **more):
    rng = np.random.default_rng(0)
    rule = DecisionRule(schema, rng.uniform(0.2, 0.8, len(schema)), **more)
    schema.to_config(model.config, constraint="gold")
    rule.to_config(model.config)


def make(model, tokenizer, **more):
    return pipeline(
        "text-classification", model, tokenizer=tokenizer, pipeline_class=ImbalanceTextClassificationPipeline, **more
    )


@pytest.fixture
def classify(model, data):
    """The pipeline of a model with thresholds."""
    with_rule(model[0], data.schema)
    return make(*model)


def as_matrix(results, schema):
    decided = np.zeros((len(results), len(schema)), dtype=bool)
    for row, labels in enumerate(results):
        decided[row, [schema.index(label["label"]) for label in labels]] = True
    return decided


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"hierarchy_policy": "add_parent"},
    ],
    ids=str,
)
def test_it_decides_as_an_evaluation_of_the_saved_model_does(model, data, texts, more, tmp_path):
    net, tokenizer = model
    with_rule(net, data.schema, **more)
    net.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    classify = pipeline("text-classification", str(tmp_path), pipeline_class=ImbalanceTextClassificationPipeline)
    args = ImbalanceTrainingArguments(output_dir=str(tmp_path / "out"), use_cpu=True, disable_tqdm=True)
    rows = data.splits["test"].select(range(N_TEXTS)).map(
        lambda rows: tokenizer(rows["text"], truncation=True), batched=True, remove_columns=["text"]
    )  # fmt: skip
    trainer = WeightedFocalTrainer(classify.model, args, eval_dataset=rows, processing_class=tokenizer)
    expected = trainer.decision_rule.decide(trainer.predict(rows).predictions).numpy()
    assert 0.02 < expected.mean() < 0.98
    assert (as_matrix(classify(texts, batch_size=16), data.schema) == expected).all()
    assert (as_matrix([classify(text) for text in texts[:10]], data.schema) == expected[:10]).all()


def test_each_label_comes_with_its_score_and_threshold_highest_first(classify, data, texts):
    with torch.no_grad():
        scores = classify.model(**classify.tokenizer(texts[0], return_tensors="pt")).logits.sigmoid()[0]
    everything = classify(texts[0], all_labels=True)
    assert {row["label"]: pytest.approx(row["score"], abs=1e-6) for row in everything} == {
        name: score.item() for name, score in zip(data.schema.names, scores, strict=True)
    }
    assert {row["label"]: row["threshold"] for row in everything} == getattr(classify.model.config, CONFIG_KEY)[
        "thresholds"
    ]
    assert [row["score"] for row in everything] == sorted((row["score"] for row in everything), reverse=True)
    few = classify(texts[0])
    assert few == [{k: v for k, v in row.items() if k != "decided"} for row in everything if row["decided"]]
    assert set(few[0]) == {"label", "score", "threshold"}


def test_a_text_gives_a_list_and_texts_give_lists(classify, texts):
    one = classify(texts[0])
    assert isinstance(one, list)
    assert classify([texts[0]]) == [one]
    assert list(classify(text for text in texts[:3])) == classify(texts[:3])
    assert classify([]) == []


def test_a_long_text_is_cut_to_what_the_model_takes(classify, texts):
    classify.tokenizer.model_max_length = 16
    assert isinstance(classify(" ".join(texts[:1] * 200)), list)


def test_without_thresholds_it_says_that_half_decides(model, data, texts, caplog):
    net, tokenizer = model
    with caplog.at_level(logging.WARNING, logger="imbalance_trainer"):
        classify = make(net, tokenizer)
    assert "no tuned thresholds, so 0.5 decides" in caplog.text
    assert {row["threshold"] for row in classify(texts[0], all_labels=True)} == {0.5}


def test_blank_texts_have_no_labels_and_the_others_keep_theirs(classify, data, texts):
    mixed = ["", *texts[:3], " \n", texts[3], ""]
    wanted = [as_matrix([classify(text)], data.schema)[0].tolist() for text in texts[:4]]
    none = [False] * len(data.schema)
    for found in (classify(mixed), list(classify(iter(mixed), batch_size=2))):
        assert as_matrix(found, data.schema).tolist() == [none, *wanted[:3], none, wanted[3], none]
    assert classify("  ") == []


def test_thresholds_may_be_given_and_unknown_keywords_are_refused(classify, texts):
    scores = {row["label"]: row["score"] for row in classify(texts[0], all_labels=True)}
    high = {name for name, score in scores.items() if score > 0.3}
    assert {row["label"] for row in classify(texts[0], threshold=0.3)} <= high
    assert {row["threshold"] for row in classify(texts[0], threshold=0.3, all_labels=True)} == {0.3}
    found = {
        row["label"]: row["threshold"] for row in classify(texts[0], thresholds={"hateful": 0.01}, all_labels=True)
    }
    assert found == {**getattr(classify.model.config, CONFIG_KEY)["thresholds"], "hateful": 0.01}
    assert isinstance(classify(texts[0], max_length=8), list)  # of the tokenizer
    for wrong, said in (
        ({"all_lables": True}, "no keyword 'all_lables': did you mean 'all_labels'"),
        ({"top_k": None}, "has no top_k"),
        ({"return_all_scores": True}, "has no return_all_scores"),
        ({"thresholds": {"hatefull": 0.1}}, "did you mean 'hateful'"),
        ({"threshold": 2}, r"lies in \(0, 1\)"),
    ):
        with pytest.raises(UsageError, match=said):
            classify(texts[0], **wrong)


@pytest.mark.parametrize("bad", [None, 3.5, float("nan")])
def test_a_row_without_text_is_named(classify, bad):
    with pytest.raises(DataError, match="Expected a text in row 1, found"):
        classify(["a text", bad])
    with pytest.raises(DataError, match="Expected a text in a row, found"):
        list(classify(text for text in [bad]))


def test_models_and_thresholds_that_do_not_fit_are_refused(model, data):
    net, tokenizer = model
    data.schema.to_config(net.config, thresholds={"hateful": 1.5})
    with pytest.raises(UsageError, match="thresholds lack 10 of 11 labels"):
        make(net, tokenizer)
    data.schema.to_config(net.config, thresholds=dict.fromkeys(data.schema.names, 1.5))
    with pytest.raises(UsageError, match=r"A threshold lies in \(0, 1\); got 1.5"):
        make(net, tokenizer)
    net.config.problem_type = "single_label_classification"
    with pytest.raises(UsageError, match="is for multi-label models"):
        make(net, tokenizer)
