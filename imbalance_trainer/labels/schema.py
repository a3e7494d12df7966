"""LabelSchema: what the labels are called, which groups they form and which label implies which."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..utils.constants import CONFIG_KEY
from ..utils.errors import DataError, UsageError, did_you_mean
from ..utils.files import read_json_object
from ..utils.text import grouped

PRIMARY, SECONDARY = "primary", "secondary"

# A metric of the whole evaluation is called f1_micro or recall_micro; a label called "micro" must not take its name.
_RESERVED_SLUGS = {"micro", "macro", "weighted", "head", "medium", "tail"}


@dataclass(frozen=True)
class LabelSchema:
    """Names, groups and implications of a model's labels, in the order of its outputs. Checked once, here.

    Args:
        names: one name per model output, distinct.
        groups: named sets of labels. `primary` and `secondary` have meaning: without a `secondary` group every label
            that is not primary is secondary.
        implications: pairs (child, parent): the child may be 1 only where the parent is. They form a DAG.

    Raises:
        UsageError: a duplicate or empty name, a group or implication with an unknown name, a label that is both
            primary and secondary, or implications that form a cycle; the message names it.

    >>> schema = LabelSchema(["hateful", "threat"], {"primary": ["hateful"]}, [("threat", "hateful")])
    >>> schema.secondary
    (1,)
    """

    names: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    implications: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        set_ = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731 - the class is frozen
        set_("names", _checked_names(self.names))
        groups, implications = self.groups or {}, self.implications or ()
        set_("groups", {group: self._checked_group(group, members) for group, members in groups.items()})
        set_("implications", tuple(dict.fromkeys(self._checked_implication(pair) for pair in implications)))
        both = set(self.groups.get(PRIMARY, ())) & set(self.groups.get(SECONDARY, ()))
        if both:
            raise UsageError(f"Label {sorted(both)[0]!r} is in the groups primary and secondary; keep it in one.")
        _ = self.parents_first  # a cycle is an error now, not at the first batch

    # ---- made from ----

    @classmethod
    def from_names(cls, names: Sequence[str]) -> "LabelSchema":
        """A schema with names alone: no groups, so that every label is secondary, and no implications."""
        return cls(tuple(names))

    @classmethod
    def from_label_info(cls, source: str | Path | Mapping[str, Any]) -> "LabelSchema":
        """Read a `label_info.json` (or its content): `names`, and optionally `groups` and `implications`.

        A group is a list of labels. A nested one, such as a taxonomy, is left out: it means nothing here.
        """
        where = "label_info"
        if not isinstance(source, Mapping):
            where = str(source)
            source = read_json_object(Path(source))
        if not isinstance(source.get("names"), (list, tuple)):
            raise DataError(f"{where}: expected a key 'names' with the list of label names, found {sorted(source)}.")
        _check_kinds(source, where)
        try:
            names = _checked_names(source["names"])
            groups = {name: of for name, of in (source.get("groups") or {}).items() if not isinstance(of, Mapping)}
            return cls(names, groups, tuple(source.get("implications") or ()))
        except UsageError as error:
            raise DataError(f"{where}: {error}") from None

    @classmethod
    def from_features(cls, features: Mapping[str, Any], column: str = "labels") -> "LabelSchema | None":
        """The names that a dataset's ClassLabel (or list of ClassLabel) column carries; None where it has none."""
        feature = features.get(column)
        inner = getattr(feature, "feature", feature)  # List(ClassLabel) has no dtype: look inside
        names = getattr(inner, "names", None)
        return cls(tuple(names)) if names else None

    @classmethod
    def from_config(cls, config: Any) -> "LabelSchema":
        """Read the schema that `to_config` wrote; a config without one gives its id2label names alone."""
        ours = getattr(config, CONFIG_KEY, None) or {}
        id2label = config.id2label
        names = tuple(str(id2label[i]) for i in sorted(id2label, key=int))
        return cls(names, ours.get("groups", {}), tuple(ours.get("implications", ())))

    @classmethod
    def of(cls, source: "LabelSchema | Mapping[str, Any] | Sequence[str] | str | Path") -> "LabelSchema":
        """Whatever stands for a schema: one, a list of names, an id2label, a label_info mapping or the path of one."""
        if isinstance(source, LabelSchema):
            return source
        if isinstance(source, Mapping) and all(str(key).isdigit() for key in source):
            return cls.from_config(SimpleNamespace(id2label=source))
        if isinstance(source, (str, Path, Mapping)):
            return cls.from_label_info(source)
        return cls.from_names(source)

    # ---- written to ----

    def to_config(self, config: Any, **more: Any) -> None:
        """Write names (id2label, label2id) and our own dict into a model's config, where from_config finds them.

        Args:
            config: the model's config.
            **more: further JSON-able entries of our dict.
        """
        config.id2label = dict(enumerate(self.names))
        config.label2id = {name: i for i, name in enumerate(self.names)}
        ours = dict(getattr(config, CONFIG_KEY, None) or {})
        setattr(config, CONFIG_KEY, {**ours, **self.to_dict(names=False), **more})

    def to_dict(self, names: bool = True) -> dict[str, Any]:
        """JSON-able content, as from_label_info reads it."""
        content = {
            "groups": {g: list(ns) for g, ns in self.groups.items()},
            "implications": [list(pair) for pair in self.implications],
        }
        return {"names": list(self.names), **content} if names else content

    # ---- asked for ----

    def __len__(self) -> int:
        return len(self.names)

    def resolve(self, name: str, where: str = "the labels") -> str:
        """The label that a user means by `name`: the exact name, else the only one that differs in case alone."""
        if name in self._index:
            return name
        matches = self._folded.get(str(name).casefold(), [])
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise UsageError(f"{name!r} in {where} fits {' and '.join(map(repr, matches))}; write it exactly.")
        nameless = " (label_schema= gives them names)" if self.names[0] == "LABEL_0" else ""
        raise UsageError(f"Unknown label {name!r} in {where}: {did_you_mean(name, self.names)}{nameless}")

    def index(self, name: str) -> int:
        """The output that a label stands at (names as in `resolve`)."""
        return self._index[self.resolve(name)]

    @cached_property
    def primary(self) -> tuple[int, ...]:
        """Indices of the primary labels, in order; empty where there is no such group."""
        return tuple(sorted(self._index[n] for n in self.groups.get(PRIMARY, ())))

    @cached_property
    def secondary(self) -> tuple[int, ...]:
        """Indices of the secondary labels: the group of that name, else all labels that are not primary."""
        if SECONDARY in self.groups:
            return tuple(sorted(self._index[n] for n in self.groups[SECONDARY]))
        return tuple(i for i in range(len(self)) if i not in self.primary)

    @cached_property
    def implication_indices(self) -> tuple[tuple[int, int], ...]:
        """The implications as pairs (child, parent) of indices, in the order given."""
        return tuple((self._index[child], self._index[parent]) for child, parent in self.implications)

    @cached_property
    def parents_first(self) -> tuple[tuple[int, int], ...]:
        """The same pairs ordered so that every pair about a label's own parents precedes those about its children."""
        depth = _depths(self.implication_indices, self.names)
        return tuple(sorted(self.implication_indices, key=lambda pair: (depth[pair[0]], pair)))

    @cached_property
    def ancestors(self) -> tuple[tuple[int, ...], ...]:
        """For each label all that it implies, directly or by way of others, in order."""
        above: list[set[int]] = [set() for _ in self.names]
        for child, parent in self.parents_first:
            above[child] |= {parent, *above[parent]}
        return tuple(tuple(sorted(labels)) for labels in above)

    @property
    def rules(self) -> tuple[str, ...]:
        """What may be broken, the implications, in words."""
        return tuple(f"{child!r} without {parent!r}" for child, parent in self.implications)

    def broken_rules(self, positive: Any, negative: Any) -> Iterator[Any]:
        """For each of `rules`, in which rows it is broken.

        Args:
            positive: (rows, labels), boolean, a tensor or an array: where a label is there.
            negative: the same: where it is known not to be.

        Yields:
            (rows,), boolean, of the same kind.
        """
        for child, parent in self.implication_indices:
            yield positive[:, child] & negative[:, parent]

    @cached_property
    def slugs(self) -> tuple[str, ...]:
        """One name per label for metrics and trackers: ASCII letters, digits and `_`, distinct within the schema."""
        taken: set[str] = set(_RESERVED_SLUGS)
        slugs = []
        for i, name in enumerate(self.names):
            base = _slug(name) or f"label_{i}"
            slug, n = base, 2
            while slug.casefold() in taken:  # trackers that are files must not see two names that differ in case
                slug, n = f"{base}_{n}", n + 1
            taken.add(slug.casefold())
            slugs.append(slug)
        return tuple(slugs)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def _folded(self) -> dict[str, list[str]]:
        return grouped(self.names, str.casefold)

    def _checked_group(self, group: str, members: Any) -> tuple[str, ...]:
        if isinstance(members, str) or not isinstance(members, Iterable):
            raise UsageError(f"Group {group!r} is a list of labels; got {members!r}.")
        return tuple(dict.fromkeys(self.resolve(name, f"group {group!r}") for name in members))  # a set, in order

    def _checked_implication(self, pair: Any) -> tuple[str, str]:
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise UsageError(f"An implication is a pair [child, parent]; got {pair!r}.")
        return self.resolve(pair[0], "the implications"), self.resolve(pair[1], "the implications")


def _checked_names(names: Any) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise UsageError(f"Label names are a list of strings; got {names!r}.")
    names = tuple(names)
    if not names:
        raise UsageError("Label names: expected at least one, got an empty list.")
    seen: dict[str, int] = {}
    for i, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise UsageError(f"Label name {i} is {name!r}; expected a string that is not blank.")
        if name in seen:
            raise UsageError(f"Label name {name!r} stands twice, at {seen[name]} and {i}; names must be distinct.")
        seen[name] = i
    return names


def _depths(pairs: Sequence[tuple[int, int]], names: Sequence[str]) -> dict[int, int]:
    """The longest way from each label up to a root; a cycle is an error that names it."""
    parents = {child: [parent for _, parent in of_child] for child, of_child in grouped(pairs, itemgetter(0)).items()}
    depth: dict[int, int] = {}
    try:
        for label in TopologicalSorter(parents).static_order():
            depth[label] = 1 + max((depth[parent] for parent in parents.get(label, ())), default=-1)
    except CycleError as error:
        cycle = error.args[1][:0:-1]  # each label after one that it implies, the first again at the end
        first = cycle.index(min(cycle))
        way = " -> ".join(repr(names[i]) for i in (*cycle[first:], *cycle[: first + 1]))
        raise UsageError(
            f"The implications form a cycle: {way}. A child must not imply itself; drop one pair."
        ) from None
    return depth


def _slug(name: str) -> str:
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "_", ascii_name).strip("_")


# ---- label_info.json ----


_KINDS: tuple[tuple[str, Any, str], ...] = (
    ("groups", Mapping, 'groups as {"group": [labels]}'),
    ("implications", (list, tuple), "implications as a list of [child, parent]"),
)


def _check_kinds(source: Mapping[str, Any], where: str) -> None:
    """Raise a DataError where groups or implications are of another kind than they should be."""
    for key, kind, wanted in _KINDS:
        if source.get(key) and not isinstance(source[key], kind):
            raise DataError(f"{where}: expected {wanted}, found {source[key]!r}.")
    for group, content in (source.get("groups") or {}).items():
        if not isinstance(content, (list, tuple) if group in (PRIMARY, SECONDARY) else (list, tuple, Mapping)):
            raise DataError(f"{where}: group {group!r} is a list of labels; found {content!r}.")
