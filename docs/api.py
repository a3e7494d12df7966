"""docs/api.md, from the docstrings of the public names.

    python docs/api.py    # writes it

tests/test_doc_links.py holds the page to what this makes.
"""

import dataclasses
import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imbalance_trainer.losses
from imbalance_trainer.losses import LOSSES
from imbalance_trainer.training.arguments import UNSET, ImbalanceOptions
from imbalance_trainer.utils.constants import MULTI_LABEL, SINGLE_LABEL

PAGE = Path(__file__).with_name("api.md")
wrap = functools.partial(textwrap.wrap, width=119, break_long_words=False, break_on_hyphens=False)

GROUPS = {
    "Training": ("WeightedFocalTrainer", "ImbalanceTrainingArguments", "RareLabelCallback"),
    "Data, labels and counts": ("load_labelled_dataset", "LabelSchema", "LabelDistribution"),
    "Weights and losses": (
        "compute_class_weights",
        "cap_weights",
        "weighted_focal_loss",
        "WeightedFocalLoss",
        "LOSSES",
    ),
    "Sampling": ("RepeatFactorSampler", "ClassAwareSampler"),
    "Metrics, thresholds and decisions": (
        "ImbalanceMetrics",
        "tune_thresholds",
        "apply_thresholds",
        "enforce_hierarchy",
    ),
    "Inference": ("ImbalanceTextClassificationPipeline",),
}
"""Every public name but the version, in the order of the page."""

HEAD = """# API

What `imbalance_trainer` exports, from its docstrings; `python docs/api.py` writes this page. Names are imported when
they are first used, so that losses, weights and metrics need no transformers. Of a class only what is its own is
listed, not what it has from transformers. Errors are `UsageError` (a setting) and `DataError` (the data), both of
`imbalance_trainer.utils.errors`; each says in one sentence what to change. `__version__` is the version.
"""

_FOR = {(MULTI_LABEL, SINGLE_LABEL): "both", (MULTI_LABEL,): "multi-label", (SINGLE_LABEL,): "single-label"}
_SECTION = re.compile(r"(Args|Returns|Yields|Raises|Example|Source)::?")
_ENTRY = re.compile(r"([*\w]+(?:, [*\w]+)*): ")


def make_page() -> str:
    """The whole page.

    Raises:
        ValueError: a public name that GROUPS lacks, or the other way round.
    """
    listed = {name for names in GROUPS.values() for name in names}
    if odd := listed ^ (set(imbalance_trainer.__all__) - {"__version__"}):
        raise ValueError(f"GROUPS and the public names differ in {sorted(odd)}.")
    parts = [HEAD]
    for group, names in GROUPS.items():
        parts.append(f"## {group}\n")
        parts += ["\n".join([f"### {name}\n", *entry(name), ""]) for name in names]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def entry(name: str) -> list[str]:
    """The lines of one public name."""
    value = getattr(imbalance_trainer, name)
    if name == "LOSSES":
        return losses()
    doc = sections(inspect.getdoc(value) or "")
    lines = [*signature(name, value), *wrapped(doc["first"]), ""]
    if value is imbalance_trainer.ImbalanceTrainingArguments:
        return [*lines, *options()]
    types = annotations(value)
    lines += listed("Arguments", [argument(types, *parts) for parts in entries(doc["Args"])])
    if doc["Returns"]:
        lines += [*wrapped(f"**Returns** {doc['Returns']}"), ""]
    lines += listed("Raises", [argument({}, *parts) for parts in entries(doc["Raises"])])
    if inspect.isclass(value):
        lines += listed("Methods and properties", list(members(value)))
    return lines


def losses() -> list[str]:
    """The registry: a row for each loss."""
    about = (
        "Every loss by name, as `loss=` and `--loss` take it; `loss_args` may set those arguments of its module that "
        "have a default. What they do, need and hurt: [losses](losses.md)."
    )
    rows = ["| name | module | for | |", "|---|---|---|---|"]
    for name, cls in LOSSES.items():
        functions = (getattr(imbalance_trainer.losses, f"{start}{name}_loss", None) for start in ("", "weighted_"))
        told_by = next(filter(None, functions), cls)
        first = plain(sections(inspect.getdoc(told_by) or "")["first"]).replace("|", "\\|")
        rows.append(f"| `{name}` | `{call(cls.__name__, cls)}` | {_FOR[cls.problem_types]} | {first} |")
    return [*wrapped(about), "", *rows]


def options() -> list[str]:
    """The fields of ImbalanceTrainingArguments that are ours."""
    about = (
        "Besides the fields of transformers.TrainingArguments it has these. Each is also a keyword of "
        "WeightedFocalTrainer, which wins, and a flag of `examples/train_model.py`."
    )
    rows = ["| field | default | |", "|---|---|---|"]
    for option in dataclasses.fields(ImbalanceOptions):
        text = option.metadata["help"].replace("|", "\\|")
        rows.append(f"| `{option.name}` | `{shown(option.default)}` | {plain(text)} |")
    return [*wrapped(about), "", *rows]


# ---- a docstring, taken apart ----


def sections(doc: str) -> dict[str, str]:
    """The first paragraph under `first`, and each section of Google's style under its name; empty where missing."""
    found: dict[str, list[str]] = {name: [] for name in ("first", "Args", "Returns", "Yields", "Raises")}
    found["first"] = doc.partition("\n\n")[0].splitlines()
    current: list[str] | None = None
    for line in doc.splitlines():
        if header := _SECTION.fullmatch(line):
            current = found.setdefault(header[1], [])
        elif line and not line.startswith(" "):
            current = None
        elif current is not None:
            current.append(line)
    return {name: textwrap.dedent("\n".join(lines)).strip() for name, lines in found.items()}


def entries(section: str) -> Iterator[tuple[str, str]]:
    """(names, text) of each entry of an Args section."""
    names, text = "", list[str]()
    for line in section.splitlines():
        if not line.startswith(" ") and (start := _ENTRY.match(line)):
            if names:
                yield names, "\n".join(text)
            names, text = start[1], [line[start.end() :]]
        else:
            text.append(line)
    if names:
        yield names, "\n".join(text)


def argument(types: dict[str, str], names: str, text: str) -> str:
    """An item of the list of arguments; lists in it stay lists."""
    said = [f"`{name}`" + (f" ({types[name]})" if types.get(name) else "") for name in names.split(", ")]
    body, *items = re.split(r"\n\s*- ", text)
    return "\n".join([f"{', '.join(said)}: {plain(body)}", *(f"    - {plain(item)}" for item in items)])


def members(cls: type) -> Iterator[str]:
    """Public methods and properties that a class has from this package, with the first paragraph of each."""
    seen: set[str] = set()
    for base in cls.__mro__:
        if not base.__module__.startswith("imbalance_trainer"):
            continue
        for name, value in vars(base).items():
            if name.startswith("_") or name in seen or not is_documented(value):
                continue
            seen.add(name)
            function = getattr(value, "fget", None) or getattr(value, "func", None) or value
            is_property = function is not value
            shown = f"`{name}`" if is_property else f"`{call(name, getattr(cls, name))}`"
            yield f"{shown}: {plain(sections(inspect.getdoc(function) or '')['first'])}"


def is_documented(value: Any) -> bool:
    """Whether a member of a class is a method or a property of it with a docstring."""
    kinds = (property, classmethod, staticmethod)
    is_member = inspect.isfunction(value) or isinstance(value, kinds) or hasattr(value, "attrname")
    return is_member and bool(value.__doc__)


# ---- signatures ----


def signature(name: str, value: Any) -> list[str]:
    """How it is called, as a block of Python: on one line, or an argument on each."""
    words = arguments(value)
    line = f"{name}({', '.join(words)})"
    if len(wrap(line)) > 1:
        line = "\n".join([f"{name}(", *(f"    {word}," for word in words), ")"])
    return ["```python", line, "```", ""]


def call(name: str, value: Any) -> str:
    """How it is called, on one line."""
    return f"{name}({', '.join(arguments(value))})"


def arguments(value: Callable[..., Any]) -> list[str]:
    """Names with defaults, as a call of Python; `self` is left out, and an option stands with its real default."""
    if value is imbalance_trainer.ImbalanceTrainingArguments:
        return ["output_dir", "..."]
    defaults = {option.name: option.default for option in dataclasses.fields(ImbalanceOptions)}
    words = []
    for parameter in inspect.signature(value).parameters.values():
        default = defaults[parameter.name] if parameter.default is UNSET else parameter.default
        if parameter.name == "self":
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            words.append("*" * (1 + (parameter.kind is parameter.VAR_KEYWORD)) + parameter.name)
        else:
            words.append(parameter.name + ("" if default is parameter.empty else f"={shown(default)}"))
    return words


def shown(default: Any) -> str:
    """A default as one writes it; `...` where it is made by a factory."""
    if isinstance(default, str):
        return f'"{default}"'
    return "..." if repr(default).startswith("<") else repr(default)


def annotations(value: Callable[..., Any]) -> dict[str, str]:
    """{argument: type}, as it is written, without modules."""
    types = {}
    for parameter in inspect.signature(value).parameters.values():
        annotation = parameter.annotation
        if annotation is not parameter.empty:
            text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
            types[parameter.name] = f"`{re.sub(r'[A-Za-z_]+[.](?=[A-Za-z_])', '', text)}`"
    return {name: text for name, text in types.items() if text != "`Any`"}


# ---- Markdown ----


def plain(text: str) -> str:
    """A paragraph on one line; outside of code what looks like a tag is escaped, and pages here are linked."""
    parts = re.split(r"(`+[^`]*`+)", " ".join(text.split()))
    parts[::2] = [re.sub(r"<(?=[A-Za-z/!])", "&lt;", part) for part in parts[::2]]
    parts[::2] = [re.sub(r"\bdocs/([\w-]+\.md)", r"[\1](\1)", part) for part in parts[::2]]
    return "".join(parts)


def wrapped(text: str) -> list[str]:
    """A paragraph in lines that are not too long."""
    return wrap(plain(text))


def listed(title: str, items: list[str]) -> list[str]:
    """A heading in bold and a list; nothing where it would be empty."""
    if not items:
        return []
    lines = []
    for first, *rest in (item.splitlines() for item in items):
        lines += wrap(f"- {first}", subsequent_indent="  ")
        lines += [part for line in rest for part in wrap(line, subsequent_indent="      ")]
    return [f"**{title}**", "", *lines, ""]


if __name__ == "__main__":
    PAGE.write_text(make_page(), encoding="utf-8")
    print(f"Wrote {PAGE.name}.")
