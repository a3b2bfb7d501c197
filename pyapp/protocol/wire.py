"""How a message is encoded: as one JSON object. Also the checks that all messages share.

A message is a frozen dataclass that checks itself when it is built, so an invalid one cannot exist on either side. Wire
names are the field names in camelCase; what has a W3C name keeps it (`sdpMid`, `usernameFragment`).
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

Scalar: TypeAlias = str | int | float | bool | None

_IDENTIFIER = re.compile(r"[0-9a-f]{32}")


class MessageError(ValueError):
    """A message breaks a rule: `field` is the wire name of the field, `rule` the rule."""

    def __init__(self, field_name: str, rule: str) -> None:
        """Take the wire name of the field, and the rule it breaks."""
        super().__init__(f"{field_name}: {rule}")
        self.field = field_name
        self.rule = rule


class Message(Protocol):
    """What can be encoded: a dataclass with its `kind` on the wire."""

    kind: ClassVar[str]


def check_identifier(name: str, value: str) -> None:
    """Reject what is not a valid participant, key or server."""
    if not _IDENTIFIER.fullmatch(value):
        raise MessageError(name, "32 hexadecimal digits, lower case")


def check_length(name: str, value: str, longest: int) -> None:
    """Refuse what is longer than `longest` characters."""
    if len(value) > longest:
        raise MessageError(name, f"at most {longest} characters")


MAX_COUNT = 2**53 - 1
"""The highest number that can be counted exactly in JavaScript."""


def check_not_negative(name: str, value: int) -> None:
    """Refuse what could not be counted exactly in JavaScript."""
    if not 0 <= value <= MAX_COUNT:
        raise MessageError(name, "a whole number from 0, below 2^53")


def check_finite(name: str, value: float) -> None:
    """Reject numbers that JSON cannot express, and integers that a double cannot hold exactly (RFC 8259, section 6)."""
    if not (-(2**53) < value < 2**53 if isinstance(value, int) else math.isfinite(value)):
        raise MessageError(name, "a finite number; if whole, between -2^53 and 2^53")


_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False)
"""One for all messages: making it takes as long as most of them. A frozen message cannot contain itself."""


def encode(message: Message) -> str:
    """Return `message` as the text of one frame."""
    return _encoder.encode(to_json(message))


_PLAIN = frozenset((str, int, float, bool, type(None)))


def to_json(message: Message) -> dict[str, Any]:
    """Return `message` as the JSON object of a frame."""
    values = ((name, getattr(message, item.name)) for name, (item, _) in _members(type(message)).items())
    # An empty list is always the default, and is left out to save bytes.
    return {"kind": message.kind} | {
        name: value if type(value) in _PLAIN else _value_to_json(value) for name, value in values if value != ()
    }


def _refuse_constant(name: str) -> float:
    raise MessageError("frame", f"{name} is not JSON (RFC 8259)")


def _parse_float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):  # 1e999 is JSON, and could then not be written as JSON
        raise MessageError("frame", f"{digits[:32]} is too large a number")
    return value


_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_parse_float)


def parse(text: str) -> Any:
    """Return the JSON value in `text`, or raise `MessageError`."""
    try:
        value = _decoder.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise MessageError("frame", "nested too deeply") from None
    except MessageError:
        raise
    except UnicodeEncodeError:
        # Half of a surrogate pair can be parsed, but could not be relayed to the peer (RFC 8259, section 8.2).
        raise MessageError("frame", "half of a surrogate pair is no text") from None
    except ValueError:
        raise MessageError("frame", "not JSON (RFC 8259)") from None
    return value


_members_by_class: dict[type, dict[str, tuple[Field[Any], Any]]] = {}


def _members(cls: type) -> dict[str, tuple[Field[Any], Any]]:
    """Return the fields of a message by their wire names, with their types; cached, since the lookup is slow."""
    if cls not in _members_by_class:
        hints = get_type_hints(cls)
        _members_by_class[cls] = {_wire_name(item.name): (item, hints[item.name]) for item in fields(cls)}
    return _members_by_class[cls]


_T = TypeVar("_T")


def from_json(value: Any, types: tuple[type[_T], ...], where: str, *, newer: bool = False) -> _T:
    """Return the message of one of `types` that `value` is, or raise `MessageError`, which names `where`.

    `newer` says that the sender may be of a newer version than we are: what it adds to a message is ignored.
    """
    if not isinstance(value, dict):
        raise MessageError(where, "an object")
    by_kind = {getattr(cls, "kind", ""): cls for cls in types}
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in by_kind:
        raise MessageError("kind", f"one of {', '.join(sorted(by_kind))}")
    return _build(by_kind[kind], value, newer=newer)


def _build(cls: type[_T], value: dict[str, Any], *, newer: bool) -> _T:
    known = _members(cls)
    for name in () if newer else value:
        if name not in known and name != "kind":
            raise MessageError(name[:64], f"no such field in '{getattr(cls, 'kind', '')}'")
    arguments: dict[str, Any] = {}
    for name, (item, hint) in known.items():
        if name in value:
            arguments[item.name] = _read(value[name], hint, name, newer=newer)
        elif item.default is MISSING:
            raise MessageError(name, "missing")
    return cls(**arguments)


_NAMES = {str: "text", bool: "true or false", int: "a whole number", float: "a number", type(None): "null"}


def _read(value: Any, hint: Any, name: str, *, newer: bool) -> Any:
    """Return `value` as the annotated type `hint`; it covers only the shapes used in this package's messages."""
    if messages := tuple(kind for kind in get_args(hint) if hasattr(kind, "kind") and get_origin(hint) is not tuple):
        return None if value is None else from_json(value, messages, name, newer=newer)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise MessageError(name, "a list")
        kinds = get_args(hint)[0]
        return tuple(from_json(entry, get_args(kinds) or (kinds,), name, newer=newer) for entry in value)
    if get_origin(hint) is Mapping:
        if not isinstance(value, dict):
            raise MessageError(name, "an object")
        return value
    allowed = get_args(hint) or (hint,)
    if float in allowed:
        allowed = (*allowed, int)
    # A bool is an int in Python, but not in JSON.
    if type(value) not in allowed:
        raise MessageError(name, " or ".join(_NAMES[kind] for kind in get_args(hint) or (hint,)))
    if isinstance(value, int | float):
        check_finite(name, value)
    return value


def _value_to_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_value_to_json(entry) for entry in value]
    if isinstance(value, Mapping):
        return dict(value)
    return to_json(value) if hasattr(value, "kind") else value


def _wire_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
