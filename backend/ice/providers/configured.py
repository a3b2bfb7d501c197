"""`[[provider]]` of the configuration file."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backend.cost.configured import PRICE_KEYS
from backend.ice.tables import SOURCES, FileMistakes, Table, entry_name

DEFAULT_TIMEOUT = 2
"""Default timeout of a provider, in seconds."""

_PLAIN = re.compile(r"[A-Za-z0-9._~-]+")
"""Text that a URL may contain without encoding (RFC 3986, section 2.3)."""
_COMMON = ("kind", "name", "timeout", "ttl", "url", *PRICE_KEYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredProvider:
    """One `[[provider]]`. `ttl`, in seconds, is what is requested, and the longest lifetime that is believed.

    `url` is its endpoint; for `file`, `path` is the file. `values` are the other texts that its kind needs.
    """

    kind: str
    name: str
    ttl: int
    timeout: int = DEFAULT_TIMEOUT
    url: str = ""
    path: Path = Path()
    values: Mapping[str, str] = field(default_factory=dict)
    secret: str = field(default="", repr=False)

    @property
    def is_by_session(self) -> bool:
        """Whether each invitation to a session gets its own credentials: they can be revoked, or carry a name."""
        return self.kind in ("cloudflare", "turn-rest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The keys of a kind of provider. `proof` is the name of its secret; `ttl` and `most` are seconds."""

    needs: tuple[str, ...] = ()
    may_have: tuple[str, ...] = ()
    proof: str = ""
    needs_secret: bool = True
    url: str = ""
    ttl: int = 86400
    most: int = 366 * 86400

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of its table."""
        secrets = tuple(f"{self.proof}{source}" for source in SOURCES[1:]) if self.proof else ()
        return (*_COMMON, *self.needs, *self.may_have, *secrets)


KINDS: Mapping[str, Kind] = {
    "cloudflare": Kind(
        needs=("key_id",),
        proof="token",
        url="https://rtc.live.cloudflare.com",
        most=48 * 3600,
    ),
    "twilio": Kind(
        needs=("account_sid",),
        may_have=("key_sid",),
        proof="token",
        url="https://api.twilio.com",
        most=86400,
    ),
    "metered": Kind(needs=("app",), may_have=("region",), proof="key", url="https://{app}.metered.live"),
    "xirsys": Kind(needs=("channel", "ident"), proof="secret", url="https://global.xirsys.net"),
    "turn-rest": Kind(needs=("url",), may_have=("method", "auth"), proof="key", needs_secret=False),
    "http": Kind(needs=("url",), may_have=("method", "header"), proof="token", needs_secret=False, ttl=3600),
    "file": Kind(needs=("path",), needs_secret=False),
}


def read_providers(
    tables: Any, mistakes: FileMistakes, environ: Mapping[str, str], top: tuple[str, ...]
) -> tuple[ConfiguredProvider, ...]:
    """Return what is in the `[[provider]]` tables; each mistake is kept in `mistakes`."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        mistakes.fail("'provider' must be written as [[provider]]")
    providers: list[ConfiguredProvider] = []
    for number, table in enumerate(tables, start=1):
        entry = entry_name("provider", number, table)
        with mistakes.collecting():
            provider = _Entry(mistakes, entry, table, environ).read(top)
            if any(provider.name == other.name for other in providers):
                mistakes.fail(f"{entry}: name: {provider.name!r} is another provider's; give each a name of its own")
            providers.append(provider)
    return tuple(providers)


class _Entry(Table):
    """One `[[provider]]` table on its way to a `ConfiguredProvider`."""

    __slots__ = ()

    def read(self, top: tuple[str, ...]) -> ConfiguredProvider:
        if "kind" not in self.table:
            self.fail(f"kind: is missing; known are {', '.join(KINDS)}")
        name = self.filled("kind")
        if name not in KINDS:
            self.fail(f"kind: {name!r} is not known; known are {', '.join(KINDS)}")
        kind = KINDS[name]
        if kind.proof and kind.proof in self.table:
            with self.mistakes.collecting():
                sources = " or ".join(f"{kind.proof}{source}" for source in SOURCES[1:])
                self.fail(f"{kind.proof}: give {sources}; a provider's secret does not stand in this file")
        self.check_keys((*kind.keys, kind.proof) if kind.proof in self.table else kind.keys, top)
        values = {key: self._checked(key, self._value) for key in kind.needs if key not in ("url", "path")}
        values |= {key: self._checked(key, self._value) for key in kind.may_have if key in self.table}
        with self.mistakes.collecting():
            if values.get("method", "GET") not in ("GET", "POST"):
                self.fail("method: must be 'GET' or 'POST'")
        with self.mistakes.collecting():
            if values.get("auth", "key") not in ("key", "bearer"):
                self.fail("auth: must be 'key' or 'bearer'")
        secret = self._checked(kind.proof, lambda _: self._kinds_secret(kind)) if kind.proof else ""
        url = self._checked("url", lambda _: self._url(kind, values, has_secret=bool(secret)))
        path = self._checked("path", self._path) if "path" in kind.needs else ""
        ttl, timeout = kind.ttl, DEFAULT_TIMEOUT
        with self.mistakes.collecting():
            ttl = self.seconds("ttl", kind.ttl, kind.most)
        with self.mistakes.collecting():
            timeout = self.seconds("timeout", DEFAULT_TIMEOUT, 60)
        return ConfiguredProvider(
            kind=name,
            name=self._checked("name", self.text) or name,
            ttl=ttl,
            timeout=timeout,
            url=url,
            path=Path(path),
            values=values,
            secret=secret,
        )

    def _checked(self, key: str, read: Callable[[str], str]) -> str:
        """Return what `read` returns, or nothing once its mistake is kept."""
        with self.mistakes.collecting():
            return read(key)
        return ""

    def _value(self, key: str) -> str:
        if key not in self.table:
            self.fail(f"{key}: is missing")
        value = self.filled(key)
        if not _PLAIN.fullmatch(value):
            self.fail(f"{key}: must be letters, digits, '-', '.', '_' and '~'")
        return value.removesuffix(".metered.live")

    def _path(self, key: str) -> str:
        if key not in self.table:
            self.fail(f"{key}: is missing")
        return str(self.mistakes.path.parent / self.filled(key))

    def _kinds_secret(self, kind: Kind) -> str:
        given = [key for source in SOURCES[1:] if (key := f"{kind.proof}{source}") in self.table]
        if len(given) > 1:
            self.fail(f"{given[0]} and {given[1]}: give one of them")
        if given:
            secret = self.secret(given[0])
            if not secret.isascii():  # it is sent in a header
                self.fail(f"{given[0]}: what it names has other than plain characters")
            return secret
        if kind.needs_secret and kind.proof not in self.table:
            self.fail(f"{kind.proof}_env or {kind.proof}_file: is missing")
        return ""

    def _url(self, kind: Kind, values: Mapping[str, str], *, has_secret: bool) -> str:
        if "url" in kind.needs and "url" not in self.table:
            self.fail("url: is missing")
        if "url" not in self.table:
            return kind.url.format(**values)
        if "path" in kind.needs:
            self.fail("url: a file has a path")
        url = self.filled("url").strip()
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host = None
        if not host or parts.scheme not in ("http", "https") or parts.fragment:
            self.fail("url: must be an address such as 'https://turn.example.org/credentials'")
        if parts.username is not None or parts.password is not None:
            self.fail(f"url: holds a user or a password; use {kind.proof}_env or {kind.proof}_file")
        if parts.scheme == "http" and has_secret and not _is_loopback(host):
            self.fail("url: must be https, or the secret could be read on its way")
        return url.rstrip("/") if "url" not in kind.needs else url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
