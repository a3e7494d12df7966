"""The demo: texts with one primary and ten secondary labels, a small encoder and its tokenizer, all made on the spot.

Each label speaks in phrases of its own, put among everyday words. So that it is no toy, the same phrases stand in
harmless rows too (quoted, with disapproval), some rows carry a label that no phrase of theirs gives away, and labels
meet in one text.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from ..labels.schema import LabelSchema
from ..utils.constants import MULTI_LABEL
from .dataset import LabelledData, make_datasets

PRIMARY_LABEL = "hateful"

_WORDS = yaml.safe_load((Path(__file__).parent / "templates" / "demo.yaml").read_text(encoding="utf-8"))
_EVERYDAY = _WORDS["everyday"].split()
SECONDARY_LABELS = {label: (of["positives"], of["phrases"]) for label, of in _WORDS["secondary"].items()}
"""Secondary labels, commonest first: positives in 10,000 rows, and the phrases that give them away."""

DEMO_TRAINING: dict[str, Any] = _WORDS["training"]
"""Training arguments that suit an encoder that starts from nothing; a pretrained one wants a smaller rate."""

DEMO_OPTIONS: dict[str, Any] = {"weight_strategy": "tiered", "head_learning_rate": 2e-3}
"""Options of ours that suit it too. The defaults are for a pretrained encoder (docs/losses.md), whose
features are kept from a head that knows nothing yet. Here there is nothing to keep, so head and encoder learn alike,
and the full tiers are ahead of their roots."""

_ROWS = {"train": 10_000, "validation": 4_000, "test": 4_000}
_MARKED = 0.90  # positives of a label that one of its phrases gives away
_QUOTES = 0.25  # harmless rows with a label's phrase, for each row that carries the label
_PLAIN_HATE = 0.05  # rows that are hateful in a way of their own, with no secondary label
_SHORTEST, _LONGEST = 6, 18
_MAX_LENGTH = 40


def demo_schema() -> LabelSchema:
    """The labels: `hateful` is primary, and each of the ten secondary ones implies it."""
    names = list(SECONDARY_LABELS)
    return LabelSchema(
        (PRIMARY_LABEL, *names),
        {"primary": (PRIMARY_LABEL,), "secondary": tuple(names)},
        tuple((name, PRIMARY_LABEL) for name in names),
    )


def demo_data(seed: int = 42) -> LabelledData:
    """The texts in splits train, validation and test; columns `text` and `labels` (multi-hot, int8)."""
    parts = {}
    for i, (split, n_rows) in enumerate(_ROWS.items(), start=1):  # [seed, 0] would be the stream of seed alone
        texts, labels = _make_rows(n_rows, np.random.default_rng([seed, i]))
        parts[split] = pa.array(texts), labels
    rows = ", ".join(f"{n_rows:,} {split}" for split, n_rows in _ROWS.items())
    notes = (
        f"Demo: {rows} rows of made-up text; {1 + len(SECONDARY_LABELS)} labels.",
        "The commonest of the ten secondary labels is 100 times as frequent as the rarest.",
        "Your own data: --data_dir FOLDER --model_name_or_path ENCODER",
    )
    return LabelledData(make_datasets(parts, demo_schema()), demo_schema(), MULTI_LABEL, notes)


def demo_model(schema: LabelSchema | None = None, seed: int = 42) -> tuple[Any, Any]:
    """A RoBERTa encoder of 2 layers, 64 wide, with random weights, and a tokenizer of the demo's words."""
    import torch
    from transformers import RobertaConfig, RobertaForSequenceClassification

    tokenizer = _demo_tokenizer()
    schema = schema or demo_schema()
    config = RobertaConfig(
        vocab_size=len(tokenizer), **_WORDS["encoder"], max_position_embeddings=_MAX_LENGTH + 2, num_labels=len(schema)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = RobertaForSequenceClassification(config)
    return model, tokenizer


def _demo_tokenizer() -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    phrases = (phrase for _, phrases in SECONDARY_LABELS.values() for phrase in phrases)
    words = " ".join([*_EVERYDAY, *_WORDS["quoted"], *phrases]).split()
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys([*special.values(), "<mask>", *words]))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("</s>", 2), ("<s>", 0))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        cls_token="<s>",
        sep_token="</s>",
        mask_token="<mask>",
        model_max_length=_MAX_LENGTH,
        **special,
    )


def _make_rows(n_rows: int, rng: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """Texts and labels. Each label has exactly its share of the rows, drawn without replacement."""
    labels = np.zeros((n_rows, 1 + len(SECONDARY_LABELS)), dtype=np.int8)
    inserts: list[list[str]] = [[] for _ in range(n_rows)]
    hateful = rng.permutation(n_rows)[: int(0.38 * n_rows)]
    labels[hateful[: int(_PLAIN_HATE * n_rows)], 0] = 1
    harmless = np.setdiff1d(np.arange(n_rows), hateful)
    for column, (per_10000, phrases) in enumerate(SECONDARY_LABELS.values(), start=1):
        count = round(per_10000 * n_rows / 10_000)
        for row in rng.choice(hateful, count, replace=False):
            labels[row, [0, column]] = 1
            if rng.random() < _MARKED:
                inserts[row].append(rng.choice(phrases))
        for row in rng.choice(harmless, round(_QUOTES * count), replace=False):
            inserts[row].append(f"{rng.choice(_WORDS['quoted'])} {rng.choice(phrases)}")
    return [_text(parts, rng) for parts in inserts], labels


def _text(inserts: list[str], rng: np.random.Generator) -> str:
    words = list(rng.choice(_EVERYDAY, rng.integers(_SHORTEST, _LONGEST + 1)))
    for insert in inserts:
        words.insert(int(rng.integers(len(words) + 1)), insert)
    return " ".join(words)
