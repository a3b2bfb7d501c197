"""One after the other, so that what goes wrong with one of them takes nothing from the others."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

_log = logging.getLogger("ice_console.server")

_T = TypeVar("_T")


def each(items: Iterable[_T], do: Callable[[_T], object], otherwise: Callable[[_T], object] | None = None) -> None:
    """Call `do` with each of `items`. What it raises is logged, and `otherwise`, if given, is called with that one."""
    for one in items:
        try:
            do(one)
        except Exception:  # noqa: BLE001 - whatever it is, it must not keep the others
            _log.exception("! %s failed; the others go on", getattr(do, "__qualname__", do))
            if otherwise is not None:
                each((one,), otherwise)
