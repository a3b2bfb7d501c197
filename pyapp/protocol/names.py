"""What people call sessions and themselves, however they type, dictate or paste it. The server and the page agree."""

import re

from pyapp.protocol.wire import MessageError, check_length

MOST_DISPLAY_NAME = 40
"""Characters of what a person wants to be called."""
MOST_SESSION, MOST_SESSION_BYTES = 64, 192
"""Characters and bytes (UTF-8) of a session's name."""

_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
"""RFC 3986, section 2.3."""
_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_BETWEEN = re.compile(r"[\s\u2010-\u2015\u2212-]+")
"""What people put between words, or hear there: spaces, hyphens, dashes, the minus sign."""
_RULE = "1 to 64 letters, digits, '.', '_' or '-', and begins with a letter or digit"


def session_name(text: str) -> str:
    """Return the name of the session that somebody means by `text`; two who mean the same get the same.

    Unicode's compatibility composition (UAX #15, NFKC), without case; a hyphen for spaces and dashes; without what
    cannot be seen. Whether it can name a session is up to `check_session_name()`.
    """
    if _PLAIN.fullmatch(text) and "--" not in text and not text.endswith("-"):
        return text
    from unicodedata import category, normalize  # noqa: PLC0415 - seldom needed

    folded = normalize("NFKC", normalize("NFKC", text).casefold())
    seen = "".join(letter for letter in folded if category(letter) not in ("Cf", "Cc") or letter.isspace())
    return _BETWEEN.sub("-", seen.strip()).strip("-")


def check_session_name(name: str) -> str:
    """Return `name` if it can name a session, in the form of `session_name()`, else raise `MessageError`."""
    if _PLAIN.fullmatch(name):
        return name
    is_short = len(name) <= MOST_SESSION and len(name.encode("utf-8", "replace")) <= MOST_SESSION_BYTES
    if not name or not is_short or not _is_word(name[0]) or not all(_is_word(c) or c in "._-" for c in name):
        raise MessageError("session", _RULE)
    if session_name(name) != name:
        raise MessageError("session", "in lower case, composed (NFKC), with '-' for spaces")
    return name


def display_name(text: str) -> str:
    """Return what somebody wants to be called, as it can be shown: in one line, and not too long."""
    seen = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(seen.split())[:MOST_DISPLAY_NAME].rstrip()


def check_display_name(field_name: str, name: str) -> None:
    """Refuse what is too long to stand above a message, or cannot be seen."""
    check_length(field_name, name, MOST_DISPLAY_NAME)
    if not name.isprintable():
        raise MessageError(field_name, "printable characters")


def encoded(text: str) -> str:
    """Return `text` as it stands in a query, a fragment or a header (RFC 3986, section 2.1)."""
    return "".join(
        character if character in _UNRESERVED else "".join(f"%{byte:02X}" for byte in character.encode())
        for character in text
    )


def decoded(text: str) -> str:
    """Return the text that `encoded()` made this of; what is nothing of the kind is returned as it is."""
    if "%" not in text:
        return text
    octets = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode())
    return octets.decode("utf-8", "replace")


def _is_word(character: str) -> bool:
    """Return whether it is a letter or digit of some script, or a mark on one (vowel signs of Indic scripts, say)."""
    if character.isalnum():
        return True
    from unicodedata import category  # noqa: PLC0415 - seldom needed

    return category(character) in ("Mn", "Mc")
