"""docs/losses.md: its numbers by hand are what the losses give, and its table is what they say of themselves."""

import doctest
import re
from pathlib import Path

from imbalance_trainer.losses import LOSSES
from imbalance_trainer.utils.constants import MULTI_LABEL, SINGLE_LABEL

PAGE = Path(__file__).parents[2] / "docs" / "losses.md"
FOR = {(MULTI_LABEL, SINGLE_LABEL): "both", (MULTI_LABEL,): "multi-label", (SINGLE_LABEL,): "single-label"}


def test_the_values_by_hand():
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted >= 4
    assert not result.failed


def test_the_table_is_what_the_losses_say():
    rows = re.findall(r"^\| `(\w+)`[^|]* \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name for name, _ in rows} == set(LOSSES)
    for name, cells in rows:
        cls = LOSSES[name]
        has = (
            cls.takes_class_weights,
            cls.needs_counts,
            "gamma" in cls.own_arguments(),
        )
        expected = [FOR[cls.problem_types], *("yes" if it else "no" for it in has)]
        assert [cell.strip() for cell in cells.split("|")] == expected, name


def test_every_argument_of_every_loss_is_there_with_its_default():
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    for name, cls in LOSSES.items():
        for argument, default in cls.own_arguments().items():
            assert re.search(rf"`{argument}`( \w+)? {default:g}\b", text), (name, argument, default)
