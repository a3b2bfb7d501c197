"""The page's assets: the groups that `make build` prepared, or newer sources in their place.

`runtime/build/build.mjs` explains the layout of `build/assets`. A group's folder has the hash of its content in its
name, so its content never changes, and a page that was loaded before a deploy still finds its own assets.

An edit of the files in `runtime/sources.json` takes effect at the next reload: sources that differ from the build are
put into a group of their own, uncompiled and uncompressed.
"""

import gzip
import hashlib
import json
import marshal
import os
import re
import shutil
import tempfile
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.settings import StartError
from backend.web.document import render
from pyapp.protocol.build import build_of

FOLDER = "build/assets"
SOURCES = "runtime/sources.json"
"""Which files belong to the groups of our own: by group and folder, what their names match."""
_COMPRESSED = {"br": ".brotli", "gzip": ".gzip"}
"""Suffixes of compressed copies, the better encoding first. Not .br and .gz: aiohttp sends those in spite of `q=0`."""
_ACCEPTED = re.compile(r"([\w*-]+)[ \t]*(?:;[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?", re.ASCII)
_PATH = re.compile(r"[a-z]+-[0-9a-f]{16}/[\w-][\w.-]*", re.ASCII)

_MARSHAL_VERSION = 4
"""A version that Pyodide's Python reads, whichever Python runs the server."""

_Files = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Document:
    """The page as it is sent, plain and, by content encoding, compressed. `tag` changes with it."""

    body: bytes
    compressed: dict[str, bytes]
    tag: str
    groups: dict[str, str]
    """The folders of the current assets, by group."""


class Assets:
    """The prepared runtime under `root`. Raises `StartError` if there is none."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / FOLDER
        self._digests: dict[str, tuple[object, str]] = {}
        self._made: tuple[object, Document] | None = None
        self.build = ""
        """That of the last `document()`, or empty before the first one (`build_of`)."""
        if not (self._folder / "manifest.json").is_file():
            raise StartError(f"{FOLDER}/manifest.json is missing: run 'make build' first")
        sources: dict[str, dict[str, str]] = json.loads((root / SOURCES).read_text(encoding="utf-8"))
        self._patterns = {
            group: {root / folder: re.compile(pattern) for folder, pattern in folders.items()}
            for group, folders in sources.items()
        }

    def file(self, path: str) -> Path | None:
        """Return the file for `GROUP-HASH/NAME`, or None."""
        if not _PATH.fullmatch(path):
            return None
        file = self._folder / path
        return file if file.is_file() and not file.is_symlink() else None

    def compressed(self, file: Path) -> dict[str, Path]:
        """Return the compressed copies of a file, by content encoding."""
        copies = {encoding: file.with_name(file.name + ending) for encoding, ending in _COMPRESSED.items()}
        return {encoding: copy for encoding, copy in copies.items() if copy.is_file()}

    def document(self) -> Document:
        """Return the page with the names of its current assets; cached until one of them changes."""
        manifest = (self._folder / "manifest.json").read_bytes()
        template = (self._root / "index.html").read_bytes()
        sources = {group: _listed(folders) for group, folders in self._patterns.items()}
        inputs = (manifest, template, [self._digest_of(name, files) for name, files in sources.items()])
        if not self._made or self._made[0] != inputs:
            self._made = (inputs, self._make(json.loads(manifest), template.decode(), sources))
        return self._made[1]

    def _make(self, manifest: dict[str, Any], template: str, sources: dict[str, dict[str, Path]]) -> Document:
        groups: dict[str, str] = manifest["groups"]
        for name, files in sources.items():
            if self._digest_of(name, files) != manifest["sources"].get(name):  # an older build has fewer groups
                groups[name] = self._live_group(name, files)
        self.build = build_of(groups)
        body = render(template, manifest)
        compressed = {"gzip": gzip.compress(body, mtime=0)}
        # The build's compressed copies are usable if nothing has changed since. An older build has none.
        prepared = self._folder / manifest.get("document", "")
        if (prepared / "page").is_file() and (prepared / "page").read_bytes() == body:
            compressed["br"] = (prepared / "page.brotli").read_bytes()
        return Document(body, compressed, hashlib.sha256(body).hexdigest()[:16], groups)

    def _digest_of(self, name: str, files: dict[str, Path]) -> str:
        """Return the hash of the files' content, read only if their times or sizes have changed."""
        seen = [(path, (stat := file.stat()).st_mtime_ns, stat.st_size) for path, file in files.items()]
        if self._digests.get(name, (None, ""))[0] != seen:
            self._digests[name] = (seen, _digest({path: file.read_bytes() for path, file in files.items()}))
        return self._digests[name][1]

    def _live_group(self, name: str, files: dict[str, Path]) -> str:
        """Put sources that are newer than the build into a group, and return its name."""
        content = {path: file.read_bytes() for path, file in files.items()}
        if name == "console":
            content = {"console.marshal": _archive(content)}
        # Another name than a build of the same content gives: the build would find its folder there, uncompressed.
        group = f"{name}-{_digest(content | {'live': b''})}"
        if not (self._folder / group).is_dir():
            unfinished = Path(tempfile.mkdtemp(prefix=".new-", dir=self._folder))
            for path, data in content.items():
                (unfinished / path).write_bytes(data)
            unfinished.chmod(0o755)
            try:
                unfinished.rename(self._folder / group)
            except OSError:  # another server was faster
                shutil.rmtree(unfinished)
        return group


def choose_encoding(accepted: str, offered: Container[str]) -> str | None:
    """Return the available encoding that an `Accept-Encoding` prefers, or None (RFC 9110, section 12.5.3)."""
    found = (_ACCEPTED.fullmatch(part.strip()) for part in accepted.lower().split(","))
    weights = {match[1]: float(match[2] or 1) for match in found if match}
    others = weights.get("*", 0.0)
    ours = [encoding for encoding in _COMPRESSED if encoding in offered]
    best = max(ours, key=lambda encoding: weights.get(encoding, others), default="")
    weight = weights.get(best, others)
    return best if best and weight > 0 and weight >= weights.get("identity", 0) else None


def _listed(folders: dict[Path, re.Pattern[str]]) -> dict[str, Path]:
    """Return the files of a group by their path in their folder, sorted within each folder, as the build has them."""
    listed: dict[str, Path] = {}
    for folder, pattern in folders.items():
        found = {
            (Path(parent) / name).relative_to(folder).as_posix(): Path(parent) / name
            for parent, _, names in os.walk(folder)
            for name in names
            if pattern.search(name)
        }
        listed |= dict(sorted(found.items()))
    return listed


def _digest(files: _Files) -> str:
    """Return what `digest()` of `runtime/build/build.mjs` returns."""
    hashed = hashlib.sha256()
    for name, content in files.items():
        hashed.update(f"{name}\0{len(content)}\0".encode())
        hashed.update(content)
    return hashed.hexdigest()[:16]


def _archive(sources: _Files) -> bytes:
    """Pack `pyapp` as sources, as `runtime/build/sitecustomize.py` reads it: Python compiles them in the page."""
    modules = {}
    for path, source in sources.items():
        name = f"pyapp/{path}".removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        modules[name] = (path.endswith("__init__.py"), f"pyapp/{path}", source.decode())
    return marshal.dumps({"modules": modules}, _MARSHAL_VERSION)
