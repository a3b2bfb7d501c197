"""The `sitecustomize` of the Pyodide in which `discover.py` runs: records what is compiled while modules are imported.

`dataclasses` and `collections.namedtuple` write source text and compile it, and `re` compiles patterns. These are the
same at every start, since they depend only on the modules that use them. `sitecustomize.py` has the results ready; what
it prevents from being imported is not imported here either.
"""

import collections
import sys
from types import SimpleNamespace

import package_loader

TYPE_CHECKING = False  # `typing` imports what is to be recorded; this Python evaluates no annotations (PEP 649)
if TYPE_CHECKING:
    from typing import Any

functions: dict[str, str] = {}
"""Source text, and whether it is for `exec` or `eval`."""
patterns: dict[tuple[Any, int], tuple[Any, ...]] = {}
"""Pattern and flags, and the arguments of `_sre.compile`."""


def take() -> dict[str, Any]:
    """Return what was recorded since the last time."""
    if not (functions and patterns):
        raise RuntimeError("nothing was noted: does this Python compile in another way?")
    taken = {"functions": dict(functions), "patterns": dict(patterns)}
    functions.clear()
    patterns.clear()
    return taken


def _eval(text: str, names: dict[str, Any]) -> Any:
    functions[text] = "eval"
    return eval(text, names)  # noqa: S307 - the library's own code, recorded


def _exec(text: str, names: dict[str, Any], local_names: dict[str, Any]) -> None:
    functions[text] = "exec"
    exec(text, names, local_names)  # noqa: S102 - the library's own code, recorded


def _compile(pattern: Any, flags: int = 0) -> Any:
    def noted(text: Any, combined: int, code: list[int], *groups: Any) -> Any:
        if text is not None:  # None: it was not compiled from text
            patterns[text, int(flags)] = (text, int(combined), [int(word) for word in code], *groups)
        return sre.compile(text, combined, code, *groups)

    compiler._sre = SimpleNamespace(**vars(sre) | {"compile": noted})  # noqa: SLF001 - the library's own
    return compile_pattern(pattern, flags)


# As early as in `sitecustomize.py`, or imports in between are not recorded.
collections.eval = _eval  # type: ignore[attr-defined]

import re  # noqa: E402

compiler: Any = re._compiler  # type: ignore[attr-defined]  # noqa: SLF001
sre, compile_pattern = compiler._sre, compiler.compile  # noqa: SLF001
compiler.compile = _compile

import dataclasses  # noqa: E402 - its own imports compile patterns

dataclasses.exec = _exec  # type: ignore[attr-defined]

sys.modules["pyodide._package_loader"] = package_loader
sys.modules["ssl"] = None  # type: ignore[assignment]
import asyncio  # noqa: E402, F401

del sys.modules["ssl"]
