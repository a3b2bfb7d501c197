"""What `make test` runs where networks of its own can be made, and where not: with programs that only say so."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ALLOWED = """while [ "$1" != -- ]; do shift; done; shift; exec "$@" """
REFUSED = "echo 'unshare failed: Operation not permitted' >&2; exit 1"
UNIT = "-m pytest --numprocesses auto --hypothesis-profile thorough tests/unit\n"
REST = "-m pytest -m not patient tests/browser tests/lab\n"
PATIENT = "-m pytest -m patient tests/browser tests/lab\n"
HARMLESS = ("cat", "dirname", "id", "mktemp", "rm", "sh", "true")
NO_INTERFACE = "echo 'RTNETLINK answers: Operation not supported' >&2; exit 2"


def run(
    folder: Path, *, unshare: str = ALLOWED, ip: str = "", ci: str = "", fails: str = "nothing"
) -> subprocess.CompletedProcess[str]:
    """Run `.ci/tests` with an `echo` for Python: what it prints is what would be run. It fails for `fails`.

    Nothing that could change this machine's network is within its reach.
    """
    python = f"""echo "$*"; case "$*" in *{fails}*) exit 1;; esac"""
    for name, script in (("unshare", unshare), ("ip", ip), ("nft", ""), ("python", python)):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o700)
    for name in HARMLESS:
        (folder / name).symlink_to(shutil.which(name) or name)
    environment = os.environ | {"PATH": str(folder), "CI": ci}
    return subprocess.run([ROOT / ".ci/tests", "python"], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("ci", ["", "1"])
def test_every_test_is_run_in_a_network_of_its_own(tmp_path: Path, ci: str) -> None:
    done = run(tmp_path, ci=ci)
    assert (done.returncode, done.stdout, done.stderr) == (0, UNIT + REST + PATIENT, "")


@pytest.mark.parametrize("fails", ["tests/unit", "not\\ patient", "-m\\ patient"])
def test_all_are_run_whatever_some_of_them_find(tmp_path: Path, fails: str) -> None:
    done = run(tmp_path, fails=fails)
    assert (done.returncode, done.stdout) == (1, UNIT + REST + PATIENT)


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
    assert (done.returncode, done.stdout) == (0, UNIT)
    for word in ("SKIPPED: all tests in browsers and in the lab.", *words):
        assert word in done.stderr


def test_in_continuous_integration_that_is_a_failure(tmp_path: Path) -> None:
    done = run(tmp_path, unshare=REFUSED, ci="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "missing: " in done.stderr
