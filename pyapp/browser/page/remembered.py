"""What this browser remembers of the person's choices, from one visit to the next."""

import contextlib
import json
from dataclasses import asdict, replace
from typing import Any

from js import window
from pyodide.ffi import JsException

from pyapp.browser.ffi import plain
from pyapp.core.devices import DEFAULT, Choices

_KEY = "ice-console-devices"


def remembered_choices() -> Choices:
    """Return the devices that were chosen last. What is stored may be of any version, or of anybody."""
    with contextlib.suppress(JsException, ValueError):  # the person lets this site store nothing, or it is no JSON
        stored = json.loads(plain(window.localStorage.getItem(_KEY)) or "{}")
        if isinstance(stored, dict):
            defaults = asdict(DEFAULT)
            known: dict[str, Any] = {k: v for k, v in stored.items() if k in defaults and type(v) is type(defaults[k])}
            return replace(DEFAULT, **known)
    return DEFAULT


def remember_choices(choices: Choices) -> None:
    """Keep them for the next visit."""
    with contextlib.suppress(JsException):
        window.localStorage.setItem(_KEY, json.dumps(asdict(choices)))
