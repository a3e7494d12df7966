"""Names and values that several rooms share."""

CONFIG_KEY = "imbalance_trainer"
"""Key of a model's config.json under which everything of ours is stored."""

DENSE_LABELS = 1_000
"""Up to so many labels co-occurrence is a plain array, beyond them a sparse one."""

IGNORE_INDEX = -100
"""Value of an unknown label: masked in training, not counted, not evaluated. The same as in transformers."""

LABEL_COLUMNS = ("labels", "label", "label_ids")
"""Usual names of the column that holds the labels, in the order in which they are looked for."""

LABEL_MASK = "label_mask"
"""Column of a batch that is 1 where a label is known."""

MAX_WEIGHT = 20.0
"""Largest class weight by default."""

MULTI_LABEL = "multi_label_classification"
"""A config's `problem_type` where a row may have any number of labels."""

SAMPLE_WEIGHT = "sample_weight"
"""Column of a batch with a number by which each row's loss is multiplied."""

SINGLE_LABEL = "single_label_classification"
"""A config's `problem_type` where a row has exactly one label."""

WIDTH = 80
"""Columns of printed text where there is no terminal."""
