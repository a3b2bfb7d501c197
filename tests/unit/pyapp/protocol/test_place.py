"""The proof of a place: what goes in comes out, and nothing else is taken for one."""

import pytest

from pyapp.protocol.place import HeldPlace, decode_place
from pyapp.protocol.wire import MessageError

A, B = "a" * 32, "0123456789abcdef" * 2


@pytest.mark.parametrize("session", ["demo", "a.b_c-D9", "x" * 64])
def test_comes_back_as_it_was(session: str) -> None:
    place = HeldPlace(session, A, B)
    assert decode_place(place.encode()) == place


@pytest.mark.parametrize(
    "value",
    ["", "demo", f"demo:{A}", f"demo:{A}:{B}:", f"demo:{A}:{B[1:]}", f"../x:{A}:{B}", f":{A}:{B}", "x" * 100_000],
)
def test_is_refused_if_it_could_be_no_place(value: str) -> None:
    with pytest.raises(MessageError):
        decode_place(value)


def test_does_not_show_its_key() -> None:
    assert B not in repr(HeldPlace("demo", A, B))
