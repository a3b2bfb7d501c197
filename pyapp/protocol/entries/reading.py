"""Makes entries of what a record holds. Some page, of any version, has told it: nothing is taken on trust."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, NamedTuple, get_args, get_type_hints

from pyapp.protocol.entries import negotiation, page, path, relays, sample, signaling
from pyapp.protocol.entries.entry import Entry, Unknown
from pyapp.protocol.entries.sample import Sample, read_sample
from pyapp.protocol.wire import MAX_COUNT, MessageError, Scalar

MODULES = (signaling, negotiation, path, relays, page, sample)


class _Fields(NamedTuple):
    """The fields of a class: the types of each, and what those without a default are in an entry that does not tell."""

    types: Mapping[str, frozenset[type]]
    unset: Mapping[str, Scalar]


def entry_of(event: str, data: Mapping[str, Scalar]) -> Entry:
    """Return the entry that a record holds, or an `Unknown` one if it is none of this version's.

    What it does not tell, as those of earlier versions may not, is as if unset: None, or empty, or 0. What it tells
    beyond the fields, as those of later versions may, is passed over.
    """
    try:
        for cls in classes().get(event, ()):
            if not cls.key or cls.key in data:
                return read_sample(data) if cls is Sample else _read(cls, data)
    except MessageError:
        pass
    return Unknown(event, data)


@cache
def classes() -> Mapping[str, tuple[type[Entry], ...]]:
    """Return the classes by event. One that has no `key` takes what the others leave: it comes last."""
    found: dict[str, tuple[type[Entry], ...]] = {}
    for cls in (each for module in MODULES for each in vars(module).values()):
        if isinstance(cls, type) and issubclass(cls, Entry) and "event" in vars(cls):
            found[cls.event] = (*found.get(cls.event, ()), cls)
    return {event: tuple(sorted(each, key=lambda cls: not cls.key)) for event, each in found.items()}


def _read(cls: type[Entry], data: Mapping[str, Scalar]) -> Entry:
    made: Any = cls
    types, unset = _fields(made)
    arguments: dict[str, Any] = {**unset}
    for name, value in data.items():  # fewer than there are fields: those with their default are left out
        if value is None or name not in types:
            continue
        if (given := type(value)) not in types[name]:
            raise MessageError(name, "of another type")
        if given is not str and not -MAX_COUNT <= value <= MAX_COUNT:  # type: ignore[operator]  # a number, or a truth
            raise MessageError(name, "between -2^53 and 2^53")
        arguments[name] = value
    return made(**arguments)  # type: ignore[no-any-return]


@cache
def _fields(cls: Any) -> _Fields:
    hints = get_type_hints(cls)
    types = {item.name: _types(hints[item.name]) for item in fields(cls)}
    return _Fields(types, {item.name: _unset(types[item.name]) for item in fields(cls) if item.default is MISSING})


def _types(hint: Any) -> frozenset[type]:
    types = get_args(hint) or (hint,)
    return frozenset((*types, int) if float in types else types)


def _unset(types: frozenset[type]) -> Scalar:
    if type(None) in types:
        return None
    return next(kind() for kind in (str, float, int, bool) if kind in types)
