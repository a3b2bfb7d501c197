"""What `make test` runs where networks of its own can be made, and where not: with programs that only say so."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ALLOWED = """while [ "$1" != -- ]; do shift; done; shift; exec "$@" """
REFUSED = "echo 'unshare failed: Operation not permitted' >&2; exit 1"
NO_INTERFACE = "echo 'RTNETLINK answers: Operation not supported' >&2; exit 2"


def run(folder: Path, *, unshare: str = ALLOWED, ip: str = "", ci: str = "") -> subprocess.CompletedProcess[str]:
    """Run `.ci/tests` with an `echo` for Python: what it prints is what would be run."""
    for name, script in (("unshare", unshare), ("ip", ip)):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o700)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "CI": ci}
    return subprocess.run([ROOT / ".ci/tests", "echo"], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("ci", ["", "1"])
def test_every_test_is_run_in_a_network_of_its_own(tmp_path: Path, ci: str) -> None:
    done = run(tmp_path, ci=ci)
    assert (done.returncode, done.stdout, done.stderr) == (0, "-m pytest\n", "")


@pytest.mark.parametrize(
    ("scripts", "words"),
    [
        ({"unshare": REFUSED}, ["missing: ", "unshare failed: Operation not permitted"]),
        ({"ip": NO_INTERFACE}, ["missing: an interface", "RTNETLINK answers: Operation not supported"]),
    ],
    ids=["no namespace", "no interface"],
)
def test_where_there_can_be_none_the_unit_tests_are_run_and_the_rest_is_said_to_be_skipped(
    tmp_path: Path, scripts: dict[str, str], words: list[str]
) -> None:
    done = run(tmp_path, **scripts)
    assert (done.returncode, done.stdout) == (0, "-m pytest tests/unit\n")
    for word in ("SKIPPED: all tests in browsers and in the lab.", *words):
        assert word in done.stderr


def test_in_continuous_integration_that_is_a_failure(tmp_path: Path) -> None:
    done = run(tmp_path, unshare=REFUSED, ci="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "missing: " in done.stderr
