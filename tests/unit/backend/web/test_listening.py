"""The addresses that `--host` means."""

import contextlib
import socket

import pytest

from backend.settings import StartError
from backend.web import listening
from backend.web.listening import listen


def served(sockets: list[socket.socket]) -> set[tuple[str, int]]:
    return {each.getsockname()[:2] for each in sockets}


def test_several_hosts_are_on_one_port() -> None:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(each) for each in listen(["127.0.0.1", "127.0.0.2", "127.0.0.1"], 0)]
        [port] = {port for _, port in served(sockets)}
        assert served(sockets) == {("127.0.0.1", port), ("127.0.0.2", port)}


def test_every_address_is_of_both_families() -> None:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(each) for each in listen(["::"], 0)]
        [port] = {port for _, port in served(sockets)}
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as caller:
                assert caller.connect_ex((address, port)) == 0
        assert served(sockets) == {("0.0.0.0", port), ("::", port)}


def test_what_all_addresses_include_is_not_taken_twice() -> None:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(each) for each in listen(["127.0.0.1", "0.0.0.0", "::1"], 0)]
        assert [address for address, _ in sorted(served(sockets))] == ["0.0.0.0", "::1"]


def test_a_name_may_mean_an_address_that_this_machine_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "resolve_all", lambda _host: ["203.0.113.1", "127.0.0.1"])
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(each) for each in listen(["both.example"], 0)]
        assert [address for address, _ in served(sockets)] == ["127.0.0.1"]
    monkeypatch.setattr(listening, "resolve_all", lambda _host: ["203.0.113.1", "203.0.113.2"])
    with pytest.raises(StartError, match=r"^cannot listen on 203\.0\.113\.1, 203\.0\.113\.2: this machine has none"):
        listen(["both.example"], 0)


def test_what_is_taken_or_not_here_is_one_line() -> None:
    with contextlib.ExitStack() as stack:
        [taken] = [stack.enter_context(each) for each in listen(["127.0.0.1"], 0)]
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=rf"^cannot listen on 127\.0\.0\.1 port {port}: Address already in use$"):
            listen(["127.0.0.2", "127.0.0.1"], port)
    with pytest.raises(StartError, match=r"^cannot listen on 203\.0\.113\.1 port 0: Cannot assign requested address$"):
        listen(["203.0.113.1"], 0)


def test_a_port_that_is_taken_on_one_of_them_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = listening._bound
    asked = []

    def unlucky(address: str, port: int) -> socket.socket:
        asked.append(port)
        if port and len(asked) == 2:
            raise OSError(98, "Address already in use")
        return bound(address, port)

    monkeypatch.setattr(listening, "_bound", unlucky)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(each) for each in listen(["127.0.0.1", "127.0.0.2"], 0)]
        assert len({port for _, port in served(sockets)}) == 1
    assert len(asked) == 4
