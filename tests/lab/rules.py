"""Kinds as nftables rule sets: pure text, `building.py` loads it.

What conntrack's own translation is, in RFC 4787's words: every flow (protocol, both addresses, both ports) is an entry
of its own, so filtering is APDF. While it may keep the inner port it does, for all destinations, so mapping looks and
is EIM, as long as no two inner hosts use one port: the lab gives each host a slice of its own. With `fully-random` each
flow gets another port: APDM. The milder filterings are made by remembering outer port -> inner address and port in a
map on the way out, and translating packets from outside back by that map: from all (EIF), or if a set of pinholes knows
the sender's address (ADF), or its address and port (APDF, needed only for hairpins, conntrack does the rest).

Packets that no rule lets in are dropped, never answered: an accepted one would become a conntrack entry, which takes
the port away from the flow that is about to leave (the hole punching race of Linux routers).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.lab.kinds import Filtering, Firewall, Mapping, Nat

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network

WAN = "wan"  # the interface towards the internet, in every router
TABLE = "lab"


def router(
    nat: Nat | None,
    firewall: Firewall,
    *,
    inside: IPv4Network | None,
    outside: IPv4Address | None,
    stateful: bool,
) -> str:
    """Return the rule set of a router: its translator between `inside` and `outside`, its firewall.

    `stateful` closes it against connections from outside, as every translator does by its nature and an IPv6 router by
    its firewall (RFC 6092).
    """
    parts = [_forward(firewall, stateful=stateful)]
    if nat and inside and outside:
        parts += [_input(outside), *_translator(nat, inside, outside)]
    return _table("\n".join(parts))


def core() -> str:
    """Return the rule set of the internet's core: packets from and to the addresses in two sets vanish."""
    return _table(
        """
        set dead4 { type ipv4_addr; }
        set dead6 { type ipv6_addr; }
        chain forward {
            type filter hook forward priority filter; policy accept;
            ip saddr @dead4 drop
            ip daddr @dead4 drop
            ip6 saddr @dead6 drop
            ip6 daddr @dead6 drop
        }
        """
    )


def _table(body: str) -> str:
    """Return a table that replaces the one of before, and all that it remembers, in one transaction."""
    return f"table inet {TABLE} {{}}\ndelete table inet {TABLE}\ntable inet {TABLE} {{{body}}}\n"


def _input(outside: IPv4Address) -> str:
    return f"""
        chain input {{
            type filter hook input priority filter; policy accept;
            ip daddr {outside} ct state != {{ established, related }} drop
        }}
"""


def _forward(firewall: Firewall, *, stateful: bool) -> str:
    return f"""
        chain forward {{
            type filter hook forward priority filter; policy {"drop" if stateful else "accept"};
            {_TLS if firewall is Firewall.TLS_443 else ""}
            ct state established,related accept
            ct status dnat accept
            iifname != "{WAN}" {_ALLOWED[firewall]}
        }}
"""


_ALLOWED = {
    Firewall.OPEN: "accept",
    Firewall.NO_UDP: "meta l4proto != udp accept",
    Firewall.TCP_443: "tcp dport 443 accept",
    Firewall.TLS_443: "tcp dport 443 accept",
    Firewall.PROXY: "drop",
}

# The first bytes that a client sends are a TLS record: type handshake (0x16), major version 3 (RFC 8446, 5.1).
# `@ih` is what follows the TCP header; a packet without any (SYN, ACK, FIN) matches neither comparison and passes.
_TLS = f"""
            ct direction original iifname != "{WAN}" tcp dport 443 ct mark != 0x16 jump first_bytes
        }}
        chain first_bytes {{
            @ih,0,8 != 0x16 reject with tcp reset
            @ih,8,8 != 0x03 reject with tcp reset
            @ih,0,8 == 0x16 ct mark set 0x16
        }}
        chain forward {{
"""


def _translator(nat: Nat, inside: IPv4Network, outside: IPv4Address) -> list[str]:
    if nat.mapping is Mapping.APDM:
        return [_symmetric(nat, inside, outside)]
    turned = f'oifname != "{WAN}" ip saddr {inside} ct original ip daddr {outside} snat ip to {outside}'
    parts = [
        f"""
        chain leave {{
            type nat hook postrouting priority srcnat;
            oifname "{WAN}" ip saddr {inside} snat ip to {outside}
            {turned if nat.hairpinning else ""}
        }}
"""
    ]
    if nat.filtering is not Filtering.APDF or nat.hairpinning:
        parts.append(_remembering(nat, inside, outside))
    return parts


def _symmetric(nat: Nat, inside: IPv4Network, outside: IPv4Address) -> str:
    if not nat.preserves_ports:
        return f"""
        chain leave {{
            type nat hook postrouting priority srcnat;
            oifname "{WAN}" ip saddr {inside} snat ip to {outside} fully-random
        }}
"""
    # The first flow of an inner port takes the same port outside; for the next the port is taken, so it gets another.
    return f"""
        set taken {{ type ipv4_addr . inet_service; flags dynamic,timeout; timeout {nat.lifetime}s; }}
        chain leave {{
            type nat hook postrouting priority srcnat;
            oifname "{WAN}" ip saddr {inside} ip saddr . udp sport @taken snat ip to {outside} fully-random
            oifname "{WAN}" ip saddr {inside} add @taken {{ ip saddr . udp sport }} snat ip to {outside}
            oifname "{WAN}" ip saddr {inside} snat ip to {outside}
        }}
        chain refresh {{
            type filter hook forward priority filter + 10;
            oifname "{WAN}" ip saddr . udp sport @taken update @taken {{ ip saddr . udp sport }}
        }}
"""


def _remembering(nat: Nat, inside: IPv4Network, outside: IPv4Address) -> str:
    """Remember, on the way out, who owns an outer port and whom it was opened for; let in by that.

    `learn` runs after the translation (srcnat is 100), so `udp sport` is the outer port. Which side of the entry is
    the inner host's depends on who sent first. A hairpin has to be noted before it can be refused by the other's
    pinholes, that is where it comes in; its outer port is the inner one, ports are kept.
    """
    key, sent, came = {
        Filtering.EIF: ("", "", ""),
        Filtering.ADF: ("inet_service . ipv4_addr", "udp sport . ip daddr", "udp dport . ip saddr"),
        Filtering.APDF: (
            "inet_service . ipv4_addr . inet_service",
            "udp sport . ip daddr . udp dport",
            "udp dport . ip saddr . udp sport",
        ),
    }[nat.filtering]
    flags = f"flags dynamic,timeout; timeout {nat.lifetime}s;"
    pinholes = f"set pinholes {{ type {key}; {flags} }}" if key else ""
    open_pinhole = f"update @pinholes {{ {sent} }}" if key else ""
    has_pinhole = f"{came} @pinholes" if key else ""
    text = f"""
        map owners {{ type inet_service : ipv4_addr . inet_service; {flags} }}
        {pinholes}
        chain learn {{
            type filter hook postrouting priority 300;
            oifname "{WAN}" meta l4proto udp jump remember
        }}
        chain remember {{
            ct direction original update @owners {{ udp sport : ct original ip saddr . ct original proto-src }}
            ct direction reply update @owners {{ udp sport : ct reply ip saddr . ct reply proto-src }}
            {open_pinhole}
        }}
        chain arrive {{
            type nat hook prerouting priority dstnat;
            iifname "{WAN}" ip daddr {outside} {has_pinhole} dnat ip to udp dport map @owners
        }}
"""
    if nat.hairpinning:
        # The sender will be seen under the outer address, which is also where it sends to.
        has_hairpin = has_pinhole.replace("ip saddr", "ip daddr")
        text += f"""
        chain turn_back {{
            type filter hook prerouting priority mangle;
            iifname != "{WAN}" ip saddr {inside} ip daddr {outside} meta l4proto udp jump remember_hairpin
        }}
        chain remember_hairpin {{
            update @owners {{ udp sport : ip saddr . udp sport }}
            {open_pinhole}
        }}
        chain arrive {{
            iifname != "{WAN}" ip saddr {inside} ip daddr {outside} {has_hairpin} dnat ip to udp dport map @owners
        }}
"""
    return text
