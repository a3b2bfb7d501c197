"""What can happen to a network while it is used, and that a lab leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lab import kinds
from tests.lab.cell import wait_until
from tests.lab.delay import Delay
from tests.lab.plumbing import sweep
from tests.lab.sites import PUBLIC_ADDRESSES, STUN, TURN1, LabError, Site

if TYPE_CHECKING:
    from tests.lab.conftest import Attach
    from tests.lab.kinds import Kind
    from tests.lab.lab import Lab

pytestmark = pytest.mark.patient


def test_a_host_gets_another_address_on_its_lan(lab: Lab, attach: Attach) -> None:
    (host,) = attach(Site(name="home", kind=kinds.DUAL_STACK)).hosts
    before = (host.ipv4, host.ipv6)
    lab.network.readdress(host)
    assert host.ipv4 != before[0]
    assert host.ipv6 != before[1]
    addresses = lab.network.run(host.node, ["ip", "-o", "addr", "show", "scope", "global"])
    assert str(host.ipv4) in addresses
    assert f"{before[0]}/" not in addresses
    assert lab.outer_address(host)
    assert lab.outer_address(host, ipv6=True)


def test_a_host_moves_to_another_site_by_another_interface(lab: Lab, attach: Attach) -> None:
    home = attach(Site(name="home", kind=kinds.PORT_RESTRICTED))
    mobile = attach(Site(name="mobile", kind=kinds.CGN_SYMMETRIC))
    host = home.hosts[0]
    assert lab.outer_address(host) == str(home.public)
    lab.network.move(host, mobile)
    assert lab.outer_address(host) == str(mobile.public)
    assert host.link.interface == "eth1"
    assert not home.hosts


def test_the_default_route_moves_between_two_interfaces_that_stay_up(lab: Lab, attach: Attach) -> None:
    home = attach(Site(name="home", kind=kinds.PORT_RESTRICTED))
    office = attach(Site(name="office", kind=kinds.CGN_CONE))
    host = home.hosts[0]
    first = host.link
    second = lab.network.join(host, office)
    assert lab.outer_address(host) == str(office.public)
    assert (home.hosts, office.hosts[-1]) == ([], host)
    lab.network.lead(host, first)
    assert lab.outer_address(host) == str(home.public)
    up = lab.network.run(host.node, ["ip", "-o", "-4", "addr", "show", "up"])
    assert str(first.ipv4) in up
    assert str(second.ipv4) in up
    lab.network.lead(host, second)
    lab.network.leave(host, second)
    assert lab.outer_address(host) == str(home.public)


def test_an_interface_joins_on_the_same_lan_and_the_first_goes(lab: Lab, attach: Attach) -> None:
    home = attach(Site(name="home", kind=kinds.PORT_RESTRICTED))
    host = home.hosts[0]
    first = host.link
    lab.network.join(host, home)
    assert host.ipv4 != first.ipv4
    lab.network.leave(host, first)
    assert lab.outer_address(host) == str(home.public)
    assert "eth0" not in lab.network.run(host.node, ["ip", "-o", "link"])


def test_what_has_the_address_of_an_interface_may_keep_going_out_by_it(lab: Lab, attach: Attach) -> None:
    home = attach(Site(name="home", kind=kinds.PORT_RESTRICTED))
    office = attach(Site(name="office", kind=kinds.PORT_RESTRICTED))
    host = home.hosts[0]
    first = host.link
    lab.network.join(host, office)

    def way_out() -> str:
        route = ["ip", "route", "get", PUBLIC_ADDRESSES[STUN].ipv4[0], "from", str(first.ipv4)]
        return lab.network.run(host.node, route)

    assert "dev eth1" in way_out()
    lab.network.hold(host, first)
    assert "dev eth0" in way_out()
    assert lab.outer_address(host) == str(office.public)
    lab.network.leave(host, first)
    assert str(first.ipv4) not in lab.network.run(host.node, ["ip", "rule"])


def test_a_tunnel_takes_the_default_route_and_gives_it_back(lab: Lab, attach: Attach) -> None:
    home = attach(Site(name="home", kind=kinds.PORT_RESTRICTED))
    away = attach(Site(name="away", kind=kinds.PORT_RESTRICTED))
    host = home.hosts[0]
    tunnel = lab.network.join(host, away, tunnel=True)
    assert "tun1" in lab.network.run(host.node, ["ip", "-o", "tuntap", "show"])
    assert lab.outer_address(host) == str(away.public)
    lab.network.leave(host, tunnel)
    assert lab.outer_address(host) == str(home.public)


def test_ipv6_goes_and_comes_while_ipv4_stays(lab: Lab, attach: Attach) -> None:
    (host,) = attach(Site(name="home", kind=kinds.DUAL_STACK)).hosts
    before = host.ipv6
    lab.network.set_ipv6(host, up=False)
    assert lab.outer_address(host, ipv6=True) is None
    assert lab.outer_address(host)
    lab.network.set_ipv6(host, up=True)
    assert lab.outer_address(host, ipv6=True) == str(host.ipv6)
    assert host.ipv6 != before


@pytest.mark.parametrize("kind", [kinds.RESTRICTED, kinds.CGN_CONE], ids=lambda kind: kind.name)
def test_a_site_gets_another_public_address_and_no_host_is_told(lab: Lab, attach: Attach, kind: Kind) -> None:
    place = attach(Site(name="home", kind=kind, delay=Delay()))
    before = place.public
    assert lab.outer_address(place.hosts[0]) == str(before)
    lab.network.renumber(place)
    assert place.public != before
    assert lab.outer_address(place.hosts[0]) == str(place.public)
    lab.network.renumber(place)
    assert lab.outer_address(place.hosts[0]) == str(before)


def test_a_translator_forgets_its_mappings(lab: Lab, attach: Attach) -> None:
    place = attach(Site(name="home", kind=kinds.FULL_CONE))
    assert lab.outer_address(place.hosts[0])
    lab.network.forget(place)
    assert "192.168" not in lab.network.run(place.router, ["conntrack", "-L", "-p", "udp"])
    assert "elements" not in lab.network.run(place.router, ["nft", "list", "map", "inet", "lab", "owners"])


@pytest.mark.parametrize("delay", [None, Delay()], ids=["link", "line"])
def test_an_uplink_goes_down_and_comes_up_again(lab: Lab, attach: Attach, delay: Delay | None) -> None:
    place = attach(Site(name="home", kind=kinds.DUAL_STACK, delay=delay))
    lab.network.set_uplink(place, up=False)
    assert lab.outer_address(place.hosts[0]) is None
    lab.network.set_uplink(place, up=True)
    assert lab.outer_address(place.hosts[0])
    assert lab.outer_address(place.hosts[0], ipv6=True)


def test_a_cable_is_pulled_and_plugged_in_again(lab: Lab, attach: Attach) -> None:
    (host,) = attach(Site(name="home", kind=kinds.DUAL_STACK)).hosts
    lab.network.set_link(host, up=False)
    assert lab.outer_address(host) is None
    lab.network.set_link(host, up=True)
    assert lab.outer_address(host)
    assert lab.outer_address(host, ipv6=True)


def test_a_server_vanishes_and_comes_back(lab: Lab, attach: Attach) -> None:
    (host,) = attach(Site(name="home", kind=kinds.PORT_RESTRICTED)).hosts
    lab.network.cut(PUBLIC_ADDRESSES[STUN].all)
    assert lab.outer_address(host) is None
    lab.network.mend(PUBLIC_ADDRESSES[STUN].all)
    assert lab.outer_address(host)


def test_a_turn_server_counts_its_relays_and_can_be_killed(lab: Lab, attach: Attach) -> None:
    (host,) = attach(Site(name="home", kind=kinds.SYMMETRIC)).hosts
    user, password = lab.turn1.credentials("tester", expires=int(time.time()) + 600)
    client = ["turnutils_uclient", "-y", "-n", "1", "-c", "-u", user, "-w", password, PUBLIC_ADDRESSES[TURN1].ipv4[0]]
    lab.network.run(host.node, client)
    relays = lab.turn1.allocations("tester")
    # A trial that the client leaves without giving it up, then one for each of the two sides that it plays.
    assert (relays.made, relays.held) == (3, 1)
    assert relays.users == (user,)
    assert lab.turn1.allocations("stranger").made == 0
    lab.turn1.kill()
    assert not lab.measure_tcp(host, TURN1).tcp_443
    lab.turn1.start()
    lab.turn1.wait()
    assert lab.measure_tcp(host, TURN1).tcp_443


def test_the_namespace_that_a_lab_is_started_from_keeps_its_links_and_rules(lab: Lab, attach: Attach) -> None:
    def outside() -> list[str]:
        commands = (["ip", "-o", "link"], ["ip", "route"], ["nft", "list", "ruleset"])
        return [subprocess.run(command, capture_output=True, text=True, check=True).stdout for command in commands]

    before = outside()
    attach(Site(name="home", kind=kinds.CGN_CONE, delay=Delay()))
    assert outside() == before


_CRASHING = """
import sys
from tests.lab.delay import Delay
from tests.lab.kinds import PUBLIC
from tests.lab.sites import Internet, Site
from tests.lab.topology import Network
with Network(Internet(sites=(Site(name="home", kind=PUBLIC, delay=Delay()),))) as network:
    network.popen("home-0", ["sleep", "600"])
    print(network.namespace("home-0"), network.directory, flush=True)
    sys.stdin.read()
"""


def test_what_a_crashed_lab_left_is_found_and_removed() -> None:
    crashing = subprocess.Popen(
        [sys.executable, "-c", _CRASHING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    with crashing:
        assert crashing.stdout
        namespace, folder = crashing.stdout.readline().split()
        assert namespace not in sweep()  # it is alive: not ours to touch
        crashing.send_signal(signal.SIGKILL)
    sweep()  # what it returns may lack some of it: another lab that is put up at this moment sweeps, too
    wait_until(lambda: not Path("/run/netns", namespace).exists() and not Path(folder).exists(), 30)
    assert not Path("/run/netns", namespace).exists()
    assert not Path(folder).exists()
    assert namespace not in sweep()


def test_a_site_that_cannot_be_put_up_leaves_nothing(lab: Lab, attach: Attach) -> None:
    attach(Site(name="one", kind=kinds.PORT_RESTRICTED))
    with pytest.raises(LabError):
        attach(Site(name="one", kind=kinds.PORT_RESTRICTED))
    with pytest.raises(LabError):
        attach(Site(name="two", kind=kinds.CGN_CONE, same_carrier_as="one"))
    assert "two" not in lab.network.places
