"""A real server on a free port, with a small stand-in for the folder that it serves."""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from backend.settings import Settings
from backend.web.server import Serving, serving
from pyapp.protocol.access import INVITATION_HEADER

ROOT = Path(__file__).parents[3]
GROUPS = {
    name: f"{name}-{'0123456789abcdef'}"
    for name in ("pyodide", "pyscript", "page", "library", "console", "modules", "charts", "uplot")
}
DOCUMENT = "document-0123456789abcdef"
FILES = {
    "index.html": '<!doctype html><link href="assets/page/console.css"><script config=""></script>',
    "server.py": "raise SystemExit",
    "static/console.css": "body {}",
    "runtime/page/boot.mjs": "export {};",
    "runtime/sources.json": (ROOT / "runtime/sources.json").read_text(encoding="utf-8"),
    "static/notes.txt": "not served",
    "pyapp/__init__.py": "",
    "pyapp/main.py": "print()",
    "pyapp/browser/peer.py": "print()",
    "pyapp/secret.txt": "not served",
    f"build/assets/{GROUPS['page']}/console.css": "body {}",
    f"build/assets/{GROUPS['page']}/boot.mjs": "export {};",
    f"build/assets/{GROUPS['page']}/notes.txt": "not served",
    f"build/assets/{GROUPS['pyodide']}/pyodide.asm.wasm": "wasm",
    f"build/assets/{GROUPS['modules']}/json.decoder.marshal": "code",
    "build/assets/manifest.json": json.dumps(
        {
            "groups": GROUPS,
            "document": DOCUMENT,
            # The hashes of `static` and `pyapp` above, as runtime/build/build.mjs makes them.
            "sources": {"page": "3f5a0d1d39c7c4a1", "console": "0"},
            "bytes": 1,
            "preload": [["pyodide", "pyodide.mjs"]],
            "lock": {"info": {}, "packages": {}},
        }
    ),
}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Return a client's session, closed after the test."""
    async with aiohttp.ClientSession() as session:
        yield session


def operator(server: Serving) -> dict[str, str]:
    """Return the headers that make a request an operator's."""
    return {INVITATION_HEADER: server.operator_address.partition("#invite=")[2]}


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
                "checks": False,
                "open_to_all": True,
                "journal": tmp_path / "journal",
                "root": server_root,
            } | changes
            return await stack.enter_async_context(serving(Settings(**given)))

        yield started
