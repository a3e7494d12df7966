"""Names and values that several rooms share."""

CONFIG_KEY = "imbalance_trainer"
"""Key of a model's config.json under which everything of ours is stored."""

IGNORE_INDEX = -100
"""Value of an unknown label: masked in training, not counted, not evaluated. The same as in transformers."""

LABEL_COLUMNS = ("labels", "label", "label_ids")
"""Usual names of the column that holds the labels, in the order in which they are looked for."""

LINEAR_FILE = "linear.joblib"
"""Where a linear baseline is saved."""

MAX_WEIGHT = 20.0
"""Largest class weight by default."""

MULTI_LABEL = "multi_label_classification"
"""A config's `problem_type` where a row may have any number of labels."""

SINGLE_LABEL = "single_label_classification"
"""A config's `problem_type` where a row has exactly one label."""

WIDTH = 80
"""Columns of printed text where there is no terminal."""
