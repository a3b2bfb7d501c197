"""STUN and TURN URLs as people and providers write them, and why a URL is left out. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from pyapp.protocol.ice import IceError, IceUrl, UnusableUrlError, parse_ice_url


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A URL that no page gets, and why: what stands behind "no page gets this: "."""

    url: str
    why: str


def tidy(text: str) -> str:
    """Return the URL in `text` as every browser takes it.

    A browser refuses a whole configuration for one URL that is not as it should be: a `stun:` URI with a transport
    (which RFC 7064, section 3.1, does not know), or spaces around it.

    Raises `IceError`, and its subclass `UnusableUrlError` for a valid URI that is of no use.
    """
    scheme, colon, rest = text.strip().partition(":")
    address, question, query = rest.partition("?")
    url = f"{scheme.lower()}{colon}{address}{question}{query.lower()}"
    if url.startswith("stun:") and query:
        if query.lower() == "transport=tcp":
            raise UnusableUrlError(f"{text!r}: no browser speaks STUN over TCP; use 'stun:' without a transport")
        if query.lower() == "transport=udp":
            url = url.partition("?")[0]
    parse_ice_url(url)
    return url


@dataclass(frozen=True, slots=True)
class SortedOut:
    """URLs in the form that browsers take, each server and transport once; those of no use; the errors of others."""

    urls: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    errors: tuple[IceError, ...]


def sort_out(texts: Iterable[str]) -> SortedOut:
    """Return what is in `texts`."""
    found: dict[IceUrl, str] = {}
    left_out: list[LeftOut] = []
    errors: list[IceError] = []
    for text in map(str.strip, texts):
        try:
            url = tidy(text)
        except UnusableUrlError as error:
            left_out.append(LeftOut(text, str(error).removeprefix(f"{text!r}: ")))
        except IceError as error:
            errors.append(error)
        else:
            parsed = parse_ice_url(url)
            if parsed in found:
                left_out.append(LeftOut(text, f"it is the same as {found[parsed]!r}"))
            found.setdefault(parsed, url)
    return SortedOut(tuple(found.values()), tuple(left_out), tuple(errors))
