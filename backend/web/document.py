"""The text of the page: `index.html`, filled in with the names of its assets.

All its URLs are relative, so that a proxy may serve it under any path.

The build runs this as well (`runtime/build/build.mjs`, in Pyodide): the standard library has no brotli, and Node has.
"""

import html
import json
from typing import Any

# PyScript's plugins: none is used, and each would be fetched.
_PLUGINS_OFF = ["!codemirror", "!deprecations-manager", "!donkey", "!error", "!py-editor", "!py-game", "!py-terminal"]
_NO_PLUGINS = f"<mpy-config hidden>{html.escape(json.dumps({'plugins': _PLUGINS_OFF}), quote=False)}</mpy-config>"
"""PyScript loads them for its other interpreter as well, although no script on the page is for that one."""


def render(template: str, manifest: dict[str, Any]) -> bytes:
    """Return the page for a `manifest.json`."""
    groups: dict[str, str] = manifest["groups"]
    configuration = {
        "interpreter": f"assets/{groups['page']}/interpreter.mjs",
        "plugins": _PLUGINS_OFF,
        "runtime": {"groups": groups} | {name: manifest[name] for name in ("bytes", "lock", "preload")},
    }
    text = template
    for name, value in groups.items():
        text = text.replace(f'"assets/{name}/', f'"assets/{value}/')
    text = text.replace("<!-- plugins off -->", _NO_PLUGINS)
    return text.replace('config=""', f'config="{html.escape(json.dumps(configuration))}"').encode()
