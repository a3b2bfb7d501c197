"""Which version of the page this is: the names of its assets tell."""

from collections.abc import Mapping

_OWN = ("page", "console")
"""The groups of assets that are our own code; a group's name ends with 16 hexadecimal digits of its content's hash."""


def build_of(groups: Mapping[str, str]) -> str:
    """Return the build of a page with these groups: 32 hexadecimal digits."""
    return "".join(groups[name][-16:] for name in _OWN)
