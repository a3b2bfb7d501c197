"""What coturn's log says about relays."""

from __future__ import annotations

from tests.lab.coturn import Allocations, count_allocations

LOG = """\
0: : session 001000000000000001: realm <lab> user <>: incoming packet message processed, error 401: Unauthorized
0: : session 001000000000000001: new, realm=<lab>, username=<17:alice>, lifetime=777
0: : session 001000000000000001: realm <lab> user <17:alice>: incoming packet ALLOCATE processed, success
0: : session 000000000000000001: new, realm=<lab>, username=<17:bob>, lifetime=777
0: : session 000000000000000001: refreshed, realm=<lab>, username=<17:bob>, lifetime=600
3: : session 001000000000000001: refreshed, realm=<lab>, username=<17:alice>, lifetime=0
"""


def test_relays_are_counted_with_their_users() -> None:
    assert count_allocations(LOG) == Allocations(made=2, ended=1, users=("17:alice", "17:bob"))
    assert count_allocations(LOG).held == 1


def test_one_users_relays_are_counted_alone() -> None:
    assert count_allocations(LOG, "bob") == Allocations(made=1, ended=0, users=("17:bob",))
    assert count_allocations("").made == 0
