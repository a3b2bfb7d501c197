"""A real server on a free port, with a small stand-in for the folder that it serves."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from backend.settings import Settings
from backend.web import Serving, serving

FILES = {
    "index.html": "<!doctype html><title>ICE Console</title>",
    "server.py": "raise SystemExit",
    "static/console.css": "body {}",
    "static/boot.mjs": "export {};",
    "static/notes.txt": "not served",
    "pyapp/main.py": "print()",
    "pyapp/browser/peer.py": "print()",
    "pyapp/secret.txt": "not served",
    "node_modules/@pyscript/core/dist/core.js": "export {};",
    "node_modules/pyodide/pyodide.mjs": "export {};",
    "node_modules/pyodide/pyodide.asm.wasm": "wasm",
    "node_modules/pyodide/package.json": "{}",
}


@pytest.fixture
def server_root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.fixture
async def start(tmp_path: Path, server_root: Path) -> AsyncIterator[Callable[..., Awaitable[Serving]]]:
    async with contextlib.AsyncExitStack() as stack:

        async def started(**changes: Any) -> Serving:
            given: dict[str, Any] = {
                "port": 0,
                "turn": False,
                "journal": tmp_path / "journal",
                "root": server_root,
            } | changes
            return await stack.enter_async_context(serving(Settings(**given)))

        yield started
