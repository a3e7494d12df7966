import numpy as np
import pytest
import torch

from imbalance_trainer import LabelDistribution, WeightedFocalTrainer
from imbalance_trainer.data.demo import DEMO_OPTIONS, DEMO_TRAINING, SECONDARY_LABELS, demo_data, demo_model


@pytest.fixture(scope="module")
def data():
    return demo_data()


def test_the_rarest_label_is_100_times_rarer(data):
    counts = LabelDistribution.from_dataset(data.splits["train"], data.schema)
    secondary = counts.support[list(data.schema.secondary)]
    assert len(secondary) == 10
    assert secondary.max() / secondary.min() == 100
    assert counts.violations.sum() == 0
    assert len(data.schema.implications) == 10


def test_every_label_is_in_every_split(data):
    for split in data.splits.values():
        assert LabelDistribution.from_dataset(split, data.schema).support.min() >= 5


def test_the_same_seed_gives_the_same_texts(data):
    again, other = demo_data(), demo_data(seed=7)
    assert again.splits["test"][:50] == data.splits["test"][:50]
    assert other.splits["test"][:50] != data.splits["test"][:50]


def test_no_text_is_in_two_splits(data):
    texts = [set(split["text"]) for split in data.splits.values()]
    assert not texts[0] & texts[1]
    assert not texts[0] & texts[2]


def test_phrases_stand_in_harmless_rows_too(data):
    """A phrase does not decide a label: the task has noise."""
    split = data.splits["train"]
    labels = np.array(split["labels"])
    phrases = SECONDARY_LABELS["insults"][1]
    said = np.array([any(phrase in text for phrase in phrases) for text in split["text"]])
    assert 0.6 < labels[said, 1].mean() < 0.9
    assert labels[~said, 1].mean() > 0.02


def test_the_model_knows_the_texts_words_and_its_seed(data):
    model, tokenizer = demo_model(data.schema, seed=3)
    ids = tokenizer(data.splits["train"][:200]["text"])["input_ids"]
    assert not any(tokenizer.unk_token_id in row for row in ids)
    assert max(map(len, ids)) <= tokenizer.model_max_length
    state = torch.get_rng_state()
    again, _ = demo_model(data.schema, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


@pytest.mark.slow
def test_ours_leaves_no_label_at_zero_recall(data, make_args):
    model, tokenizer = demo_model(data.schema)
    splits = data.splits.map(
        lambda rows: tokenizer(rows["text"], truncation=True), batched=True, remove_columns=["text"]
    )
    args = make_args(max_steps=-1, **DEMO_TRAINING)
    trainer = WeightedFocalTrainer(
        model, args, train_dataset=splits["train"], processing_class=tokenizer, label_schema=data.schema,
        **DEMO_OPTIONS,
    )  # fmt: skip
    trainer.train()
    assert trainer.predict(splits["test"]).metrics["test_n_labels_without_recall"] == 0


@pytest.mark.parametrize("seed", [7, 42])
def test_any_sample_of_the_rows_is_a_fair_one(seed):
    """Labels must not follow the permutation that a shuffle with the same seed draws."""
    train = demo_data(seed).splits["train"].shuffle(seed=seed).select(range(2000))
    assert np.array(train["labels"])[:, 0].mean() == pytest.approx(0.32, abs=0.04)
