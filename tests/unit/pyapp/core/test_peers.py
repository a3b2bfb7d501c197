"""The names of peer connections."""

from pyapp.core.peers import NO_PEER, PeerIds


def test_no_name_is_given_twice_and_none_is_that_of_none() -> None:
    names = PeerIds()
    given = [names.next() for _ in range(50)]
    assert len(set(given)) == len(given)
    assert given == sorted(given), "what comes late is of an older one"
    assert NO_PEER not in given
