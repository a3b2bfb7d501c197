"""Runs first in the page's Python: from then on, imports read what `prepare.py` compiled instead of files.

An archive is one marshalled dictionary:

- `modules`: by name, whether it is a package, the file that tracebacks name, and its code. Marshalled code is for a
  module that is not imported at every start, and source text is code under `pyapp/` that is newer than the build
  (`backend/web/assets.py`). None is a module that the build left out of the standard library, since the console does
  not import it. If that was wrong, it comes from the server at the moment of its import: late, but it works, and
  `runtime/page/interpreter.mjs` reports it, so that the journal records a fault.
- `functions` and `patterns`: what `dataclasses`, `namedtuple` and `re` would compile while the modules are imported
  (`record.py`).
- `plans`: what the modules' dataclasses are made from (`prepared_dataclasses.py`).
"""

import gc
import marshal
import os
import sys
import time
from _frozen_importlib import ModuleSpec  # only built-in modules can be imported this early

TYPE_CHECKING = False  # known to mypy; this Python evaluates annotations only if somebody asks (PEP 649)
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, ModuleType
    from typing import Any

BEGUN = time.perf_counter()
"""Seconds, for `make bench-boot`: Python's own start ends here, and its imports begin."""
CONSOLE = "/lib/console.marshal"


class Archive:
    """Finds and loads the modules of an archive."""

    def __init__(self, modules: dict[str, tuple[bool, str, CodeType | bytes | str | None]]) -> None:
        self._modules = modules

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for every module in the archive."""
        del path, target
        if name not in self._modules:
            return None
        is_package, file, _ = self._modules[name]
        spec = ModuleSpec(name, self, origin=file, is_package=is_package)  # type: ignore[arg-type]
        spec.has_location = True
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to the import system."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        exec(self.get_code(module.__name__), module.__dict__)  # noqa: S102 - what a loader does

    def get_code(self, name: str) -> CodeType:
        """Return the module's code."""
        _, file, code = self._modules[name]
        if code is None:
            from console_runtime import fetch_module  # noqa: PLC0415 - not there yet when this module is imported

            code = fetch_module(name).to_bytes()
        if isinstance(code, bytes):
            code = marshal.loads(code)  # noqa: S302 - our own build, from our own server
        elif isinstance(code, str):
            code = compile(code, file, "exec", dont_inherit=True)
        return code

    def get_source(self, name: str) -> str | None:
        """Return the module's source, if available, for the lines in tracebacks."""
        code = self._modules[name][2]
        return code if isinstance(code, str) else None


functions: dict[str, CodeType] = {}
"""By source text."""
patterns: dict[tuple[Any, int], tuple[Any, ...]] = {}
"""By pattern and flags: the arguments of `_sre.compile`."""
plans: dict[str, Any] = {}
"""By the name of the class."""


def install(archive: bytes) -> None:
    """Import from `archive` from now on."""
    content: dict[str, Any] = marshal.loads(archive)  # noqa: S302 - our own build, from our own server
    functions.update(content.get("functions", {}))
    patterns.update(content.get("patterns", {}))
    plans.update(content.get("plans", {}))
    sys.meta_path.insert(-1, Archive(content["modules"]))  # after what is built in, before the search for files


def _eval(text: str, names: dict[str, Any]) -> Any:
    return eval(functions.get(text, text), names)  # noqa: S307 - the library's own


def _exec(text: str, names: dict[str, Any], local_names: dict[str, Any]) -> None:
    exec(functions.get(text, text), names, local_names)  # noqa: S102 - the library's own


def _compile(pattern: Any, flags: int = 0) -> Any:
    arguments = patterns.get((pattern, flags))
    return compiler._sre.compile(*arguments) if arguments else compile_pattern(pattern, flags)  # noqa: SLF001


gc.disable()  # a start leaves no garbage; `pyapp.main` enables it again
install(__spec__.loader.get_data(f"{__spec__.loader.archive}/library.marshal"))  # type: ignore[union-attr]
if os.path.exists(CONSOLE):  # noqa: PTH110 - pathlib is not needed otherwise
    with open(CONSOLE, "rb") as file:  # noqa: PTH123 - as above
        install(file.read())

# As early as possible: the imports of each of these compile something for the next.
import collections  # noqa: E402

collections.eval = _eval  # type: ignore[attr-defined]

import re  # noqa: E402

compiler: Any = re._compiler  # type: ignore[attr-defined]  # noqa: SLF001
compile_pattern = compiler.compile
compiler.compile = _compile

import dataclasses  # noqa: E402

dataclasses.exec = _exec  # type: ignore[attr-defined]

import prepared_dataclasses  # noqa: E402

prepared_dataclasses.install(plans)

sys.modules["ssl"] = None  # type: ignore[assignment]  # asyncio works without it
import asyncio  # noqa: E402, F401

del sys.modules["ssl"]
