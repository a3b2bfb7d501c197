"""Runs in a fresh Pyodide during the build: finds the library modules that the console needs."""

import asyncio
import contextlib
import importlib
import json
import marshal
import sys
import traceback
from types import ModuleType
from typing import Any

import sitecustomize  # runtime/build/record.py

MAIN = "pyapp.main"


class Browser(ModuleType):
    """A stand-in for the module `js` without a page: enough to import from it."""

    def __getattr__(self, name: str) -> Any:
        """Provide every name."""
        if name.startswith("__"):
            raise AttributeError(name)
        return None


def loaded() -> set[str]:
    """Return the modules that were read from the archive."""
    modules = [(name, module.__spec__) for name, module in sys.modules.items()]
    return {name for name, spec in modules if spec is None or spec.origin not in ("frozen", "built-in")}


async def exercise() -> None:
    """Trigger the imports that the library postpones until their first use."""
    try:
        json.loads("{")
    except ValueError as error:
        traceback.format_exception(error)
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0)
    except TimeoutError as error:
        traceback.format_exception(error)


async def discover(names: list[str], app: str, own: list[str]) -> bytes:
    """Import what the console imports, then the console (`own`, under `app`), and return what was loaded."""
    record: Any = sitecustomize
    library = record.take()
    sys.modules["js"] = Browser("js")
    sys.path.append(app)
    with contextlib.suppress(AttributeError):  # it goes on to start the console
        importlib.import_module(MAIN)
    own_at_start = {MAIN} | (loaded() & set(own))
    for name in own:
        if name != MAIN:
            importlib.import_module(name)
    console = record.take()
    at_start = loaded() - set(own) | own_at_start
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:  # `from MODULE import name`, where the name is not a module
            importlib.import_module(name.rpartition(".")[0])
    await exercise()
    return marshal.dumps({"at_start": at_start, "later": loaded() - at_start, "library": library, "console": console})
