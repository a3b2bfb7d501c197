"""Reads ICE servers in every shape that providers and configuration files use. Pure.

They may be an array or an object, alone or under `iceServers` or a similar key; with `url`, `urls` or `uris` as a
string or a list; with `credential` or `password`; with a time to live as a number, a string such as `"86400s"`, or
none. What is unusable is left out, with the reason, as long as anything remains: a provider may add what browsers do
not know.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.ice.urls import LeftOut, sort_out
from pyapp.protocol.ice import parse_ice_url

MAX_ENTRIES = 64
"""The most entries, and the most URLs of one entry, that are read."""

_LISTS = ("iceServers", "ice_servers", "IceServerList")
_WRAPPERS = ("v", "d")  # Xirsys, now and before
_URLS = ("urls", "url", "uris", "Uris")
_USERNAMES = ("username", "Username")
_CREDENTIALS = ("credential", "password", "Password")
_LIFETIMES = ("ttl", "Ttl", "lifetimeDuration")
_SECONDS = re.compile(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*s?\s*")


class ShapeError(ValueError):
    """The value names no ICE servers. The message says what is missing, and quotes nothing."""


@dataclass(frozen=True, slots=True)
class NamedServer:
    """The URLs of one entry, all of them STUN or all of them TURN, in the form that browsers accept."""

    urls: tuple[str, ...]
    username: str = ""
    credential: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Named:
    """The servers in order, their lifetime in seconds if one is given, and what was left out."""

    servers: tuple[NamedServer, ...]
    lifetime: float | None = None
    left_out: tuple[LeftOut, ...] = ()


def read_named(value: Any) -> Named:
    """Return the servers that `value`, parsed JSON in any of the shapes, names. Raises `ShapeError`."""
    entries, lifetimes = _entries(value)
    servers: list[NamedServer] = []
    left_out: list[LeftOut] = []
    for entry in entries[:MAX_ENTRIES]:
        found, others = _read_entry(entry)
        servers += found
        left_out += others
    if not servers:
        reasons = "; ".join(dict.fromkeys(one.why for one in left_out))
        raise ShapeError(f"it names no server that a browser could use{': ' if reasons else ''}{reasons[:300]}")
    known = [seconds for given in lifetimes if (seconds := read_seconds(given)) is not None]
    return Named(tuple(servers), min(known, default=None), tuple(left_out))


def read_seconds(value: Any) -> float | None:
    """Return the seconds in `value`: a number, or a string such as "3600" or "3600s". Anything else is None."""
    if isinstance(value, str) and (match := _SECONDS.fullmatch(value)):
        value = float(match[1])
    if type(value) not in (int, float) or not math.isfinite(value) or not 0 < value < 2**53:
        return None
    return float(value)


def _entries(value: Any) -> tuple[list[Mapping[str, Any]], list[Any]]:
    """Return the `RTCIceServer` dictionaries, and whatever may be a time to live."""
    for _ in range(2):
        if not isinstance(value, Mapping):
            break
        if value.get("s") == "error":  # with HTTP status 200
            raise ShapeError("the provider says 's': 'error'")
        inner = next((value[key] for key in _WRAPPERS if isinstance(value.get(key), Mapping)), None)
        if inner is None:
            break
        value = inner
    lifetimes = []
    if isinstance(value, Mapping):
        lifetimes = [value[key] for key in _LIFETIMES if key in value]
        value = next((value[key] for key in _LISTS if key in value), value)
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise ShapeError("it must be a list of servers, or an object with 'iceServers'")
    lifetimes += [entry[key] for entry in value for key in _LIFETIMES if key in entry]
    return value, lifetimes


def _read_entry(entry: Mapping[str, Any]) -> tuple[list[NamedServer], list[LeftOut]]:
    texts = []
    for key in _URLS:
        given = entry.get(key)
        texts += [text for text in (given if isinstance(given, list) else [given]) if isinstance(text, str)]
    found = sort_out(dict.fromkeys(texts[:MAX_ENTRIES]))  # Twilio has each as `url` and as `urls`
    left_out = [*found.left_out, *(LeftOut("a URL", str(error)) for error in found.errors)]
    username = next((str(entry[key]) for key in _USERNAMES if _is_filled(entry.get(key))), "")
    credential = next((str(entry[key]) for key in _CREDENTIALS if _is_filled(entry.get(key))), "")
    stun = tuple(url for url in found.urls if not parse_ice_url(url).is_turn)
    turn = tuple(url for url in found.urls if parse_ice_url(url).is_turn)
    if turn and not (username and credential):
        left_out += [LeftOut(url, "it comes without a user name and a credential") for url in turn]
        turn = ()
    servers = [NamedServer(stun)] if stun else []
    servers += [NamedServer(turn, username, credential)] if turn else []
    return servers, left_out


def _is_filled(value: Any) -> bool:
    return (isinstance(value, str) and bool(value.strip()) and value.isprintable()) or type(value) is int
