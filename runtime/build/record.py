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
plans: dict[str, tuple[Any, ...]] = {}
"""What `prepared_dataclasses.py` makes classes from, by module and qualified name; the methods still as text."""
written: list[str] = []
"""What `dataclasses` has just compiled."""


def take() -> dict[str, Any]:
    """Return what was recorded since the last time."""
    if not (patterns and (functions or plans)):
        raise RuntimeError("nothing was noted: does this Python compile in another way?")
    taken = {"functions": dict(functions), "patterns": dict(patterns), "plans": dict(plans)}
    for recorded in (functions, patterns, plans):
        recorded.clear()
    return taken


def _eval(text: str, names: dict[str, Any]) -> Any:
    functions[text] = "eval"
    return eval(text, names)  # noqa: S307 - the library's own code, recorded


def _exec(text: str, names: dict[str, Any], local_names: dict[str, Any]) -> None:
    written.append(text)
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
library: Any = dataclasses
process_class = library._process_class  # noqa: SLF001 - the library's own


def _process_class(cls: type, *parameters: bool) -> Any:
    """Note what becomes of a class, if it can be made from that: the others' methods are compiled beforehand."""
    declared = library.annotationlib.get_annotations(cls, format=library.annotationlib.Format.FORWARDREF)
    given = dict(cls.__dict__)
    made = process_class(cls, *parameters)
    text = written.pop()
    fields = [field.name for field in dataclasses.fields(made)]
    undeclared = any(name in given and name not in declared for name in fields)
    if made is cls or type(made) is not type or undeclared or dataclasses.KW_ONLY in declared.values():
        functions[text] = "exec"
        return made
    added = ["__slots__", "__match_args__", *(() if given.get("__doc__") else ("__doc__",))]
    plans[f"{cls.__module__}:{cls.__qualname__}"] = (
        text,
        parameters,
        {name: made.__dict__[name] for name in added},
        tuple(name for name in declared if name in fields),
        tuple(name for name in declared if name not in fields),
    )
    return made


library._process_class = _process_class  # noqa: SLF001

sys.modules["pyodide._package_loader"] = package_loader
sys.modules["ssl"] = None  # type: ignore[assignment]
import asyncio  # noqa: E402, F401

del sys.modules["ssl"]
