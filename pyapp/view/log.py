"""Which lines of the log are shown."""

from collections.abc import Callable

from pyapp.core.diagnostics.journal import LogLine


def matcher(text: str, *, trouble_only: bool) -> Callable[[LogLine], bool]:
    """Return what tells whether a line has every word of `text`, whatever the capitals; and is about trouble."""
    words = text.casefold().split()

    def matches(line: LogLine) -> bool:
        if trouble_only and line.mark != "!":
            return False
        content = f"{line.text} {line.detail}".casefold() if words else ""
        return all(word in content for word in words)

    return matches
