"""The recommendation as a YAML file for `imbalance-trainer train --config`, with the reason above each line."""

import textwrap
from collections.abc import Mapping
from typing import Any

import yaml

from .recommend import Recommendation


def config_text(
    recommendation: Recommendation, given: Mapping[str, Any], asked_for: Mapping[str, Any], command: str
) -> str:
    """The file.

    Args:
        recommendation: its settings, the defaults among them, so that the run stays the same when a default changes.
        given: what to train and on what: flags of the data and model_name_or_path; None is left out.
        asked_for: settings of the user's own, which replace or join the recommended ones.
        command: what made the file, for its first line.
    """
    lines = [*_comment(f"Made by: {command}"), "# The command line wins over this file."]
    lines += _settings({flag: value for flag, value in given.items() if value is not None})
    for choice in recommendation.choices:
        if choice.flag not in asked_for:
            lines += ["", *_comment(f"{choice.reason} [{choice.source}]"), *_settings({choice.flag: choice.value})]
    if asked_for:
        lines += ["", "# As asked for when this file was made.", *_settings(asked_for)]
    if recommendation.warnings:
        lines += ["", "# What no setting can mend:"]
        lines += [line for warning in recommendation.warnings for line in _comment(f"- {warning}")]
    return "\n".join(lines) + "\n"


def _settings(values: Mapping[str, Any]) -> list[str]:
    if not values:
        return []
    text = yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=10_000, default_flow_style=False)
    return text.splitlines()


def _comment(text: str) -> list[str]:
    """Text as comments; without line breaks of its own, which would end the comment."""
    text = " ".join(text.split())
    return textwrap.wrap(text, 100, initial_indent="# ", subsequent_indent="#   ", break_on_hyphens=False)
