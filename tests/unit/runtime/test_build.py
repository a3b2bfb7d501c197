"""The build of the runtime, as far as it goes without compiling anything: `runtime/build/`."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from backend.web.assets import _digest

ROOT = Path(__file__).parents[3]
RUNTIME = ROOT / "runtime/build"
HOUR = 3600
LISTED = "runtime/sources.json"
SOURCES = (
    "package-lock.json",
    "static/console.css",
    "runtime/page/boot.mjs",
    "runtime/charts/charts.mjs",
    "pyapp/main.py",
    "index.html",
    "backend/web/document.py",
)


def node(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["node", *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_what_no_build_has_used_for_a_week_is_removed(tmp_path: Path) -> None:
    ages = {"page-old": 169, "page-recent": 167, "page-used": 1000, "manifest.json": 1000, ".new-given-up": 169}
    for name, hours in ages.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
        os.utime(tmp_path / name, (time.time() - hours * HOUR,) * 2)
    used = json.dumps(["page-used", "manifest.json"])
    script = (
        f"import {{ tidy }} from {json.dumps(str(RUNTIME / 'tidy.mjs'))}; tidy({json.dumps(str(tmp_path))}, {used})"
    )
    assert node("--input-type=module", "--eval", script).returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"page-recent", "page-used", "manifest.json"}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """Return a checkout with the manifest of a build, and without Pyodide: building ends at once, with an error."""
    shutil.copytree(RUNTIME, tmp_path / "runtime/build", ignore=shutil.ignore_patterns("__pycache__"))
    for name in (*SOURCES, "build/assets/page-1/file", "build/assets/document-1/page"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    shutil.copyfile(ROOT / LISTED, tmp_path / LISTED)
    content = {name: (tmp_path / name).read_bytes() for name in SOURCES}
    own = sorted((tmp_path / "runtime/build").iterdir())
    inputs = _digest(
        {"package-lock.json": content["package-lock.json"]}
        | {file.name: file.read_bytes() for file in own}
        | {
            "page": _digest(
                {"console.css": content["static/console.css"], "boot.mjs": content["runtime/page/boot.mjs"]}
            ).encode(),
            "console": _digest({"main.py": content["pyapp/main.py"]}).encode(),
            "charts": _digest({"charts.mjs": content["runtime/charts/charts.mjs"]}).encode(),
            "sources.json": (ROOT / LISTED).read_bytes(),
            "index.html": content["index.html"],
            "document.py": content["backend/web/document.py"],
        }
    )
    manifest = {"inputs": inputs, "groups": {"page": "page-1"}, "document": "document-1"}
    (tmp_path / "build/assets/manifest.json").write_text(json.dumps(manifest))
    return tmp_path


def builds(root: Path) -> bool:
    done = node(str(root / "runtime/build/build.mjs"))
    assert ("up to date" in done.stdout) == (done.returncode == 0), done.stderr
    return done.returncode != 0


def test_nothing_is_built_while_the_inputs_are_the_same(built: Path) -> None:
    assert not builds(built)


@pytest.mark.parametrize("changed", [*SOURCES, LISTED, "runtime/build/prepare.py", "runtime/build/build.mjs"])
def test_a_changed_input_is_built(built: Path, changed: str) -> None:
    with (built / changed).open("a") as file:
        file.write("\n")
    assert builds(built)


@pytest.mark.parametrize("missing", ["page-1", "document-1", "manifest.json"])
def test_what_is_missing_is_built(built: Path, missing: str) -> None:
    (built / "build/assets" / missing).rename(built / "elsewhere")
    assert builds(built)
