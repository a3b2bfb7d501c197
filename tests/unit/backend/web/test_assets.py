"""What the page is made of, and how it is served: names that never lie, compressed as asked, asked for again or not."""

import gzip
import html
import json
import marshal
import re
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from backend.web.assets import Assets, _digest, choose_encoding
from backend.web.server import Serving
from pyapp.protocol.build import build_of
from pyapp.protocol.signaling import Join, Welcome, decode_server
from pyapp.protocol.wire import encode
from tests.unit.backend.conftest import DOCUMENT, GROUPS

Start = Callable[..., Awaitable[Serving]]
WASM = f"assets/{GROUPS['pyodide']}/pyodide.asm.wasm"


def configuration(page: str) -> dict[str, Any]:
    match = re.search(r'config="([^"]+)"', page)
    assert match
    found: dict[str, Any] = json.loads(html.unescape(match[1]))
    return found


def groups(root: Path) -> dict[str, str]:
    named: dict[str, str] = configuration(Assets(root).document().body.decode())["runtime"]["groups"]
    return named


def test_the_page_names_what_it_is_made_of(server_root: Path) -> None:
    page = Assets(server_root).document().body.decode()
    named = groups(server_root)
    assert f'href="assets/{named["page"]}/console.css"' in page
    assert configuration(page)["interpreter"] == f"assets/{named['page']}/interpreter.mjs"
    assert all(plugin.startswith("!") for plugin in configuration(page)["plugins"])


def test_what_changes_gets_a_new_name_and_the_old_one_stays(server_root: Path) -> None:
    assets = Assets(server_root)
    before = groups(server_root)
    first = assets.document()
    style, module = server_root / "static/console.css", server_root / "pyapp/main.py"
    style.write_text("body { margin: 0 }")
    module.write_text("print('changed')")
    after = configuration(assets.document().body.decode())["runtime"]["groups"]
    assert assets.document().tag != first.tag
    assert {name for name in before if before[name] != after[name]} == {"page", "console"}
    old, new = (assets.file(f"{named['page']}/console.css") for named in (before, after))
    assert old
    assert new
    assert (old.read_text(), new.read_text()) == ("body {}", "body { margin: 0 }")
    archive = assets.file(f"{after['console']}/console.marshal")
    assert archive
    assert marshal.loads(archive.read_bytes()) == {  # noqa: S302 - our own
        "modules": {
            "pyapp": (True, "pyapp/__init__.py", ""),
            "pyapp.browser.peer": (False, "pyapp/browser/peer.py", "print()"),
            "pyapp.main": (False, "pyapp/main.py", "print('changed')"),
        }
    }


def test_a_change_taken_back_leads_back_to_the_same_names(server_root: Path) -> None:
    style = server_root / "static/console.css"
    before, text = groups(server_root), style.read_text()
    style.write_text("body { margin: 0 }")
    assert groups(server_root) != before
    style.write_text(text)
    assert groups(server_root) == before


def test_what_is_newer_than_the_build_leaves_its_name_to_the_next_build(server_root: Path) -> None:
    style = server_root / "static/console.css"
    style.write_text("body { margin: 0 }")
    live = groups(server_root)["page"]
    # As `group` of `runtime/build/build.mjs` names it: sorted, hashed, and not written if the folder is there already.
    files = (style, server_root / "runtime/page/boot.mjs")
    content = {file.name: file.read_bytes() for file in files}
    built = _digest(content | {"compressed": b"brotli, gzip"})
    assert live != f"page-{built}"


def test_a_new_build_is_taken_without_a_restart(server_root: Path) -> None:
    assets = Assets(server_root)
    manifest = server_root / "build/assets/manifest.json"
    changed = json.loads(manifest.read_text())
    changed["groups"]["library"] = "library-fedcba9876543210"
    manifest.write_text(json.dumps(changed))
    assert "library-fedcba9876543210" in assets.document().body.decode()


def test_the_page_is_made_once_for_what_it_is_made_of(server_root: Path) -> None:
    assets = Assets(server_root)
    first = assets.document()
    assert assets.document() is first
    for changed in ("index.html", "runtime/page/boot.mjs", "pyapp/main.py", "build/assets/manifest.json"):
        before = assets.document()
        with (server_root / changed).open("a") as file:
            file.write(" ")
        assert assets.document() is not before
        assert assets.document() is assets.document()


def test_the_page_is_sent_with_brotli_as_long_as_it_is_the_one_that_was_built(server_root: Path) -> None:
    assets = Assets(server_root)
    body = assets.document().body
    assert set(assets.document().compressed) == {"gzip"}
    prepared = server_root / "build/assets" / DOCUMENT
    prepared.mkdir()
    (prepared / "page").write_bytes(body)
    (prepared / "page.brotli").write_bytes(b"brotli")
    assert Assets(server_root).document().compressed["br"] == b"brotli"
    (server_root / "index.html").write_text("<!doctype html>new")
    assert set(Assets(server_root).document().compressed) == {"gzip"}


def test_a_link_out_of_the_folder_is_not_followed(server_root: Path) -> None:
    (server_root / f"build/assets/{GROUPS['page']}/link.css").symlink_to("/etc/hostname")
    assert Assets(server_root).file(f"{GROUPS['page']}/link.css") is None


async def test_a_page_can_tell_that_it_is_older_than_the_server(start: Start, server_root: Path) -> None:
    server = await start()

    async def told() -> str:
        async with aiohttp.ClientSession() as http, http.ws_connect(server.address + "ws") as socket:
            await socket.send_str(encode(Join("demo", secrets.token_hex(16), secrets.token_hex(16))))
            welcome = decode_server(await socket.receive_str(timeout=20))
            assert isinstance(welcome, Welcome)
            return welcome.build

    before = build_of(groups(server_root))
    assert await told() == before
    (server_root / "pyapp/main.py").write_text("print('newer')")
    async with aiohttp.ClientSession() as http, http.get(server.address) as response:
        after = build_of(configuration(await response.text())["runtime"]["groups"])
    assert await told() == after != before


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("", None),
        ("gzip, deflate, br, zstd", "br"),
        ("GZIP", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("br;q=0.0,gzip;q=0.000", None),
        ("br;q=0.5, gzip;q=0.8", "gzip"),
        ("gzip ; q=1.0 , br ;\tq=1", "br"),
        ("br;q=0.5, identity", None),
        ("br;q=0.5, identity;q=0.5", "br"),
        ("*", "br"),
        ("br;q=0, *;q=0.1", "gzip"),
        ("*;q=0, gzip", "gzip"),
        ("*;q=0", None),
        ("abr, gzipped", None),
        ("br;q=2, br;level=9, gzip;q", None),
    ],
)
def test_which_encoding_is_chosen(accepted: str, encoding: str | None) -> None:
    assert choose_encoding(accepted, ["gzip", "br"]) == encoding


def test_only_what_is_there_is_chosen() -> None:
    assert choose_encoding("br, gzip;q=0.5", ["gzip"]) == "gzip"
    assert choose_encoding("br, gzip", []) is None


async def test_the_page_is_asked_for_each_time_and_not_sent_again(start: Start, server_root: Path) -> None:
    server = await start()
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        for accepted in ("gzip, br", "gzip;q=0"):
            headers = {"Accept-Encoding": accepted}
            async with http.get(server.address, headers=headers) as response:
                tag, body = response.headers["ETag"], await response.read()
                assert response.headers["Cache-Control"] == "no-cache, no-transform"
                assert response.headers["Vary"] == "Accept-Encoding"
                assert (gzip.decompress(body) if accepted == "gzip, br" else body).startswith(b"<!doctype html>")
            async with http.get(server.address, headers=headers | {"If-None-Match": tag}) as response:
                assert (response.status, response.headers["ETag"]) == (304, tag)
            async with http.head(server.address, headers=headers) as response:
                assert (response.status, await response.read()) == (200, b"")
                assert int(response.headers["Content-Length"]) == len(body)
        (server_root / "index.html").write_text("<!doctype html>new")
        async with http.get(server.address, headers={"If-None-Match": tag}) as response:
            assert response.status == 200


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("identity", None), ("zstd", None), ("br;q=0, gzip;q=0", None)],
)
async def test_a_file_comes_compressed_as_the_browser_can_take_it(
    start: Start, server_root: Path, accepted: str, encoding: str | None
) -> None:
    wasm = server_root / "build" / WASM
    wasm.with_name("pyodide.asm.wasm.brotli").write_bytes(b"brotli")
    wasm.with_name("pyodide.asm.wasm.gzip").write_bytes(b"gzip")
    expected = {"br": b"brotli", "gzip": b"gzip", None: b"wasm"}[encoding]
    server = await start()
    headers = {"Accept-Encoding": accepted}
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        async with http.get(server.address + WASM, headers=headers) as response:
            assert (response.headers.get("Content-Encoding"), await response.read()) == (encoding, expected)
            assert response.headers["Vary"] == "Accept-Encoding"
            assert response.content_type == "application/wasm"
            assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            tag = response.headers["ETag"]
        async with http.get(server.address + WASM, headers=headers | {"If-None-Match": tag}) as response:
            assert response.status == 304
        async with http.head(server.address + WASM, headers=headers) as response:
            assert (response.status, response.content_length, await response.read()) == (200, len(expected), b"")


async def test_a_part_of_a_file(start: Start) -> None:
    server = await start()
    async with aiohttp.ClientSession() as http:
        async with http.get(server.address + WASM, headers={"Range": "bytes=1-2"}) as response:
            assert (response.status, await response.read()) == (206, b"as")
            assert response.headers["Content-Range"] == "bytes 1-2/4"
        async with http.get(server.address + WASM, headers={"Range": "bytes=9-"}) as response:
            assert response.status == 416
