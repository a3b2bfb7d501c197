"""What the lab's commands share: whether there is a lab to be believed, what they are asked, and how they speak."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.plumbing import missing
from tests.lab.servers import ROOT

if TYPE_CHECKING:
    import argparse

_SELFCHECK = Path(__file__).with_name("test_selfcheck.py")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that all commands have."""
    parser.add_argument(
        "--delay", type=numbers, default=[0.0, 25.0], metavar="MS,MS", help="one way, at each site (default: 0,25)"
    )
    parser.add_argument("--unchecked", action="store_true", help="do not measure the lab first")


def why_not(options: argparse.Namespace) -> int:
    """Let the lab prove itself, if wanted; return 0, or say why nothing can be measured and return the exit code."""
    if lacks := missing():
        say("No network lab here, missing: " + "; ".join(lacks))
        return 2
    if not options.unchecked and not _lab_is_what_it_says():
        say("The lab is not what it says: nothing measured in it would count.")
        return 1
    return 0


def say(text: str) -> None:
    """Print a line, now."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _lab_is_what_it_says() -> bool:
    """Measure every kind before anything else is believed."""
    return subprocess.run([sys.executable, "-m", "pytest", "-q", _SELFCHECK], cwd=ROOT, check=False).returncode == 0


def numbers(text: str) -> list[float]:
    """Read numbers between commas. Raises `ValueError` for what is none."""
    return [float(number) for number in text.split(",")]
