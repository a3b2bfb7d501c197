"""What the files about a session are called."""

from hashlib import sha256

from pyapp.protocol.names import encoded

LONGEST = 200
"""Characters, of the 255 bytes that file systems have for a name: endings follow."""


def file_name(session: str) -> str:
    """Return what a file about `session` is called, without an ending: ASCII, and short enough for a file system."""
    whole = encoded(session)
    if len(whole) <= LONGEST:
        return whole
    return f"{whole[: LONGEST - 40]}-{sha256(session.encode()).hexdigest()[:32]}"
