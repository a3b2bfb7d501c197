"""Runs in a fresh Pyodide while the runtime is built: tells which modules of the library the console needs."""

import asyncio
import importlib
import json
import sys
import traceback


async def exercise() -> None:
    """Do what makes the library import more of itself when it is first used."""
    try:
        json.loads("{")
    except ValueError as error:
        traceback.format_exception(error)
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0)
    except TimeoutError as error:
        traceback.format_exception(error)


async def discover(names: list[str]) -> list[str]:
    """Import what the console imports, and return every module that was read from the archive, Pyodide's own too."""
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:  # `from MODULE import name`, and the name is no module
            importlib.import_module(name.rpartition(".")[0])
    await exercise()
    modules = [(name, module.__spec__) for name, module in sys.modules.items()]
    return sorted(name for name, spec in modules if spec is None or spec.origin not in ("frozen", "built-in"))
