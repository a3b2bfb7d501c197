"""The ICE configuration file: TOML, checked strictly at the start, so that a typing error is found then and there.

Every error is one line: file, entry, rule. No secret and no credential stands in an error or a repr.
"""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from backend.access.configured import ConfiguredAccess, read_access, read_limits
from backend.access.limits import Limits
from backend.settings import StartError
from pyapp.protocol.ice import IceError, parse_ice_url
from pyapp.protocol.signaling import LONGEST_HOLD

DEFAULT_TTL = 3600
"""Seconds that ephemeral credentials are good for."""

_SECRETS = ("secret", "secret_env", "secret_file")
_TOP_KEYS = ("standby", "hold")
_TABLES = ("access", "limits")
_KEYS = ("name", "urls", *_SECRETS, "ttl", "username", "credential")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredServer:
    """One `[[server]]`: its URIs are all `stun:`, or all `turn:` and `turns:`.

    A TURN server has either a shared `secret`, and `ttl` in seconds, or a fixed `username` and `credential`.
    """

    name: str = ""
    urls: tuple[str, ...]
    secret: str = field(default="", repr=False)
    ttl: int = DEFAULT_TTL
    username: str = ""
    credential: str = field(default="", repr=False)

    @property
    def is_turn(self) -> bool:
        """Whether this server can relay."""
        return parse_ice_url(self.urls[0]).is_turn


@dataclass(frozen=True, slots=True)
class ConfiguredIce:
    """The file: its servers in their order, and whether pages keep a standby path (`pyapp/core/path/standby.py`).

    `hold` is how long, in seconds, a place is kept for who has lost the server; None if the file does not say.
    """

    servers: tuple[ConfiguredServer, ...] = ()
    standby: bool = False
    hold: float | None = None
    access: ConfiguredAccess = field(default_factory=ConfiguredAccess)
    limits: Limits | None = None
    """None if the file changes none."""


def read_ice_servers(path: Path, *, environ: Mapping[str, str] = os.environ) -> ConfiguredIce:
    """Return what is in the file at `path`, or raise `StartError`."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StartError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise StartError(f"{path}: is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        # The parser quotes at most one character of the file, never a value.
        raise StartError(f"{path}: is not TOML: {error}") from None
    for key in document:
        if key not in ("server", *_TOP_KEYS, *_TABLES):
            known = ", ".join((*_TOP_KEYS, *(f"[{name}]" for name in _TABLES)))
            raise StartError(f"{path}: unknown key {key!r}; the file has {known} and [[server]] entries")

    def fail(rule: str) -> NoReturn:
        raise StartError(f"{path}: {rule}")

    access = read_access(document.get("access", {}), fail)
    limits = read_limits(document["limits"], Limits(), fail) if "limits" in document else None
    standby = document.get("standby", False)
    if not isinstance(standby, bool):
        raise StartError(f"{path}: standby: must be true or false")
    hold = document.get("hold")
    if hold is not None and (type(hold) not in (int, float) or not 1 <= hold <= LONGEST_HOLD):
        raise StartError(f"{path}: hold: must be seconds, from 1 to {LONGEST_HOLD:.0f}")
    tables = document.get("server", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise StartError(f"{path}: 'server' must be written as [[server]]")
    seen: dict[str, str] = {}
    servers = []
    for number, table in enumerate(tables, start=1):
        name = table.get("name")
        entry = f"[[server]] {number}" + (f' "{name}"' if isinstance(name, str) and name else "")
        reader = _Entry(path, entry, table, environ)
        server = reader.read()
        for url in server.urls:
            if url in seen:
                reader.fail(f"urls: {url!r} stands in {seen[url]} already")
            seen[url] = entry
        servers.append(server)
    return ConfiguredIce(tuple(servers), standby, hold, access, limits)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One `[[server]]` table on its way to a `ConfiguredServer`."""

    path: Path
    entry: str
    table: Mapping[str, Any] = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)

    def fail(self, rule: str) -> NoReturn:
        raise StartError(f"{self.path}: {self.entry}: {rule}")

    def read(self) -> ConfiguredServer:
        for key in self.table:
            if key in _TOP_KEYS:  # to TOML, what stands below [[server]] is a key of it
                self.fail(f"{key}: must stand before the first [[server]]")
            if key not in _KEYS:
                self.fail(f"unknown key {key!r}; known are {', '.join(_KEYS)}")
        name = self._text("name")
        urls = self._urls()
        is_turn = self._is_turn(urls)
        given = [key for key in (*_SECRETS, "username", "credential") if key in self.table]
        if not is_turn:
            if given or "ttl" in self.table:
                self.fail(f"{given[0] if given else 'ttl'}: a STUN server takes no credentials")
            return ConfiguredServer(name=name, urls=urls)
        secrets = [key for key in given if key in _SECRETS]
        if not given:
            self.fail("a TURN server needs credentials: secret, secret_env, secret_file, or username and credential")
        if len(secrets) > 1:
            self.fail(f"{secrets[0]} and {secrets[1]}: give one of them")
        if secrets and len(given) > 1:
            self.fail(f"{secrets[0]} and {given[1]}: give a shared secret, or username and credential, not both")
        if secrets:
            return ConfiguredServer(name=name, urls=urls, secret=self._secret(secrets[0]), ttl=self._ttl())
        if "ttl" in self.table:
            self.fail("ttl: is for a shared secret; a fixed user does not expire")
        for key, other in (("username", "credential"), ("credential", "username")):
            if key not in self.table:
                self.fail(f"{other} without {key}")
        return ConfiguredServer(
            name=name, urls=urls, username=self._filled("username"), credential=self._filled("credential")
        )

    def _text(self, key: str) -> str:
        value = self.table.get(key, "")
        if not isinstance(value, str):
            self.fail(f"{key}: must be text")
        return value

    def _filled(self, key: str) -> str:
        value = self._text(key)
        if not value.strip():
            self.fail(f"{key}: is empty")
        return value

    def _urls(self) -> tuple[str, ...]:
        if "urls" not in self.table:
            self.fail("urls: is missing")
        urls = self.table["urls"]
        if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
            self.fail("urls: must be a list of texts")
        if not urls:
            self.fail("urls: is empty")
        for position, url in enumerate(urls):
            try:
                parse_ice_url(url)
            except IceError as error:
                self.fail(f"urls: {error}")
            if url in urls[:position]:
                self.fail(f"urls: {url!r} stands there twice")
        return tuple(urls)

    def _is_turn(self, urls: tuple[str, ...]) -> bool:
        kinds = {parse_ice_url(url).is_turn for url in urls}
        if len(kinds) > 1:
            self.fail("urls: STUN and TURN servers are mixed; give each a [[server]] of its own")
        return kinds.pop()

    def _ttl(self) -> int:
        ttl = self.table.get("ttl", DEFAULT_TTL)
        if type(ttl) is not int:  # a bool is an int to Python, and none to TOML
            self.fail("ttl: must be a whole number of seconds")
        if not 0 < ttl <= 366 * 86400:
            self.fail("ttl: must be from 1 second to a year")
        return ttl

    def _secret(self, key: str) -> str:
        source = self._filled(key)
        readers: dict[str, Callable[[str], str]] = {
            "secret": lambda text: text,
            "secret_env": self._secret_from_environment,
            "secret_file": self._secret_from_file,
        }
        return readers[key](source)

    def _secret_from_environment(self, variable: str) -> str:
        if variable not in self.environ:
            self.fail(f"secret_env: the environment has no variable {variable!r}")
        if not (secret := self.environ[variable].strip()):
            self.fail(f"secret_env: the environment variable {variable!r} is empty")
        return secret

    def _secret_from_file(self, name: str) -> str:
        path = self.path.parent / name
        try:
            secret = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            self.fail(f"secret_file: {path}: cannot be read: {error.strerror}")
        except UnicodeDecodeError:
            self.fail(f"secret_file: {path}: is not UTF-8 text")
        if not secret:
            self.fail(f"secret_file: {path}: is empty")
        return secret
