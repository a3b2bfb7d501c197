"""Imports point one way, and only the border touches the browser: read from the source, so no import can hide."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYAPP = ROOT / "pyapp"

LAYERS = (
    {"messages", "ice"},
    {"events", "delivery", "diagnostics"},
    {"commands", "verdicts", "heartbeat", "head_start", "reach"},
    {"negotiation", "recovery", "relays", "standby"},
    {"candidates", "restarts"},
    {"connection", "conversation", "rendezvous"},
    {"session"},
    {"console"},
    {"rehearsal"},
    {"runner", "browser"},
    {"main"},
)
"""A module imports only from layers above its own line."""

BROWSER_ONLY = {"js", "pyodide", "pyscript"}
IMPURE = {"asyncio", "time", "random", "secrets", "datetime", "threading", "socket", "os"}
SHARED_WITH_THE_SERVER = {"messages", "ice"}


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names that `path` imports; `from pyapp import events` is `pyapp.core.events`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            module = node.module or ""
            is_package = (ROOT / module.replace(".", "/") / "__init__.py").is_file()
            yield from (f"{module}.{alias.name}" for alias in node.names) if is_package else (module,)


def layer(name: str) -> int:
    return next(rank for rank, names in enumerate(LAYERS) if name in names)


def own(path: Path) -> str:
    """Return the name of the module of `pyapp` that `path` is, or `browser` for what is part of it."""
    return "browser" if path.is_relative_to(PYAPP / "browser") else path.stem


def used(name: str) -> str:
    """Return the name of the module of `pyapp` that is imported as `name`."""
    return "browser" if name.startswith("pyapp.browser") else name.rpartition(".")[2]


SOURCES = [path for path in sorted(PYAPP.rglob("*.py")) if path.name != "__init__.py"]
CORE = [path for path in SOURCES if layer(own(path)) < layer("runner")]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_only_the_border_imports_the_browser(path: Path) -> None:
    roots = {name.partition(".")[0] for name in imports(path)}
    assert own(path) in ("browser", "main") or not roots & BROWSER_ONLY


@pytest.mark.parametrize("path", CORE, ids=named)
def test_the_core_reads_no_clock_and_waits_for_nothing(path: Path) -> None:
    assert not {name.partition(".")[0] for name in imports(path)} & IMPURE


def test_the_runner_has_the_only_loop() -> None:
    assert {name.partition(".")[0] for name in imports(PYAPP / "shell/runner.py")} & IMPURE == {"asyncio"}


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_imports_point_one_way(path: Path) -> None:
    names = {used(name) for name in imports(path) if name.startswith("pyapp.")}
    if own(path) == "browser":
        names.discard("browser")
    for name in names:
        assert layer(name) < layer(own(path)), f"{own(path)} must not import {name}"


@pytest.mark.parametrize("path", [*sorted((ROOT / "backend").rglob("*.py")), ROOT / "server.py"], ids=named)
def test_the_server_uses_of_the_page_only_the_vocabulary_and_ice(path: Path) -> None:
    assert {used(name) for name in imports(path) if name.startswith("pyapp")} <= SHARED_WITH_THE_SERVER


@pytest.mark.parametrize("name", sorted(SHARED_WITH_THE_SERVER))
def test_what_both_use_needs_nothing_of_either(name: str) -> None:
    assert not {other for other in imports(PYAPP / f"protocol/{name}.py") if other.startswith(("pyapp", "backend"))}
