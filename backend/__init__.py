"""The server's parts, one idea per file; `server.py` is the entry point.

Pure, no I/O and no clock: `choosing`, `credentials`, `limits`, `rooms`, `access`.
Shells around them: `web` (HTTP), `signaling` (WebSocket), `journal` (files), `coturn` (a process).
"""
