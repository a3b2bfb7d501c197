"""Names of sessions and people, however they are typed, dictated or pasted; the same for the server and the page."""

import re

from pyapp.protocol.wire import MessageError, check_length

MOST_DISPLAY_NAME = 40
"""Longest display name, in characters."""
MOST_SESSION, MOST_SESSION_BYTES = 64, 192
"""Longest session name, in characters and in bytes (UTF-8)."""

_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
"""RFC 3986, section 2.3."""
_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_BETWEEN = re.compile(r"[\s\u2010-\u2015\u2212-]+")
"""What people put between words: spaces, hyphens, dashes, the minus sign."""
_RULE = "1 to 64 letters, digits, '.', '_' or '-', and begins with a letter or digit"


def session_name(text: str) -> str:
    """Return the canonical name of the session that `text` names.

    It is NFKC (UAX #15), case-folded, with hyphens for spaces and dashes, and without invisible characters.
    `check_session_name()` decides whether it can name a session.
    """
    if _PLAIN.fullmatch(text) and "--" not in text and not text.endswith("-"):
        return text
    from unicodedata import category, normalize  # noqa: PLC0415 - seldom needed

    folded = normalize("NFKC", normalize("NFKC", text).casefold())
    seen = "".join(letter for letter in folded if category(letter) not in ("Cf", "Cc") or letter.isspace())
    return _BETWEEN.sub("-", seen.strip()).strip("-")


def check_session_name(name: str) -> str:
    """Return `name` if it is a valid session name in canonical form, or raise `MessageError`."""
    if _PLAIN.fullmatch(name):
        return name
    is_short = len(name) <= MOST_SESSION and len(name.encode("utf-8", "replace")) <= MOST_SESSION_BYTES
    if not name or not is_short or not _is_word(name[0]) or not all(_is_word(c) or c in "._-" for c in name):
        raise MessageError("session", _RULE)
    if session_name(name) != name:
        raise MessageError("session", "in lower case, composed (NFKC), with '-' for spaces")
    return name


def display_name(text: str) -> str:
    """Return a display name as it can be shown: on one line, and not too long."""
    seen = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(seen.split())[:MOST_DISPLAY_NAME].rstrip()


def check_display_name(field_name: str, name: str) -> None:
    """Reject a display name that is too long, or not printable."""
    check_length(field_name, name, MOST_DISPLAY_NAME)
    if not name.isprintable():
        raise MessageError(field_name, "printable characters")


def encoded(text: str) -> str:
    """Return `text` percent-encoded, for a query, a fragment or a header (RFC 3986, section 2.1)."""
    return "".join(
        character if character in _UNRESERVED else "".join(f"%{byte:02X}" for byte in character.encode())
        for character in text
    )


def decoded(text: str) -> str:
    """Return the inverse of `encoded()`; anything else is returned unchanged."""
    if "%" not in text:
        return text
    octets = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode())
    return octets.decode("utf-8", "replace")


def _is_word(character: str) -> bool:
    """Return whether it is a letter or digit of any script, or a mark on one (such as Indic vowel signs)."""
    if character.isalnum():
        return True
    from unicodedata import category  # noqa: PLC0415 - seldom needed

    return category(character) in ("Mn", "Mc")
