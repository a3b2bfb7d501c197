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


class _Field(NamedTuple):
    name: str
    types: frozenset[type]
    unset: Scalar
    """What it is in an entry that does not tell it."""


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
    arguments: dict[str, Any] = {}
    for name, types, unset in _fields(made):
        value = data.get(name)
        if value is None:
            value = unset
        elif type(value) not in types:
            raise MessageError(name, "of another type")
        elif not isinstance(value, str) and not -MAX_COUNT <= value <= MAX_COUNT:
            raise MessageError(name, "between -2^53 and 2^53")
        arguments[name] = value
    return cls(**arguments)


@cache
def _fields(cls: Any) -> tuple[_Field, ...]:
    hints = get_type_hints(cls)
    return tuple(_field(item, get_args(hints[item.name]) or (hints[item.name],)) for item in fields(cls))


def _field(item: Any, types: tuple[type, ...]) -> _Field:
    unset = item.default
    if unset is MISSING:
        unset = None if type(None) in types else types[0]()
    return _Field(item.name, frozenset((*types, int) if float in types else types), unset)
