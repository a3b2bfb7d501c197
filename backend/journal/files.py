"""The names of the files about a session."""

from hashlib import sha256

from pyapp.protocol.names import encoded

LONGEST = 200
"""Longest name in characters: file systems allow 255 bytes, and extensions follow."""


def file_name(session: str) -> str:
    """Return the name of a file about `session`, without extension: ASCII, and short enough for a file system."""
    whole = encoded(session)
    if len(whole) <= LONGEST:
        return whole
    return f"{whole[: LONGEST - 40]}-{sha256(session.encode()).hexdigest()[:32]}"
