"""Web addresses in a text, shown as links."""

import re
from dataclasses import dataclass

# Only these schemes: `javascript:`, `data:` and `file:` stay text. An address ends at white space, at quotes and angle
# brackets, and at characters that change the direction of writing: those could show another address than they lead to.
_ADDRESS = re.compile(
    r"(?<![\w@./-])(?:https?://|mailto:|www\.)[^\s<>\"`\u200e\u200f\u202a-\u202e\u2066-\u2069]+", re.IGNORECASE
)
_TRAILING = ".,:;!?'*_~…。、」』】》”" + "\uff0c\uff01\uff1f\uff1b\uff1a\uff09\u2019"  # the last ones: in full width
"""What belongs to the sentence if the address ends with it."""
_BRACKETS = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a text; `href` is empty, or where it leads to."""

    text: str
    href: str = ""


def spans(text: str) -> list[Span]:
    """Split `text` into addresses and the rest; joined, the spans are the text again."""
    result: list[Span] = []
    end = 0
    for match in _ADDRESS.finditer(text):
        address = _without_what_follows(match[0])
        if not (href := _href(address)):
            continue
        if match.start() > end:
            result.append(Span(text[end : match.start()]))
        result.append(Span(address, href))
        end = match.start() + len(address)
    return [*result, Span(text[end:])] if end < len(text) else result


def _without_what_follows(address: str) -> str:
    """Strip punctuation at the end, and a closing bracket that was opened before the address."""
    unopened = {closing: address.count(closing) - address.count(_BRACKETS[closing]) for closing in _BRACKETS}
    end = len(address)
    while end:
        last = address[end - 1]
        if unopened.get(last, 0) > 0:
            unopened[last] -= 1
        elif last not in _TRAILING:
            break
        end -= 1
    return address[:end]


def _href(address: str) -> str:
    """Return where `address` leads, or empty if it is incomplete."""
    scheme, separator, rest = address.partition(":")
    if not separator or scheme.lower() not in ("http", "https", "mailto"):
        return f"https://{address}" if re.match(r"www\.[^\W_][\w-]*\.\w", address, re.IGNORECASE) else ""
    if scheme.lower() == "mailto":
        return address if re.match(r"[^@\s]+@[^@\s]+$", rest) else ""
    return address if re.match(r"//(?:\[[\da-f:.]+\]|[^\W_])", rest, re.IGNORECASE) else ""
