"""Whether a client masks its frames (RFC 6455, section 5.1), which aiohttp's reader does not check. Pure."""

_MASKED = 0x80
_MASK = 4


class Masking:
    """Follows the bytes of one client from frame to frame."""

    __slots__ = ("_head", "_left")

    def __init__(self) -> None:
        self._head = b""
        """The beginning of a frame whose length has not come as a whole."""
        self._left = 0
        """Bytes that the present frame still has."""

    def unmasked(self, data: bytes) -> int | None:
        """Return how many bytes of the next `data` precede the first unmasked frame; None if all are masked."""
        before = len(self._head)
        if before:
            data, self._head = self._head + data, b""
        at, size = self._left, len(data)
        while at < size:
            if size - at < 2:
                self._head, at = data[at:], size
                break
            second = data[at + 1]
            if second < _MASKED:
                return max(at - before, 0)
            length = second - _MASKED
            start = at + 2
            if length >= 126:
                start += 2 if length == 126 else 8
                if start > size:
                    self._head, at = data[at:], size
                    break
                length = int.from_bytes(data[at + 2 : start])
            at = start + _MASK + length
        self._left = at - size
        return None
