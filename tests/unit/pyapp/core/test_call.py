"""A call that fails while its parts are at work."""

from pyapp.core.failures import Refusal
from pyapp.core.path.facts import ReplacementWanted
from tests.unit.pyapp.core.test_session import connected


def test_that_fails_while_the_two_start_over_takes_nobody_for_a_partner() -> None:
    """The refusal ends it after `PeerGone`, and `PeerArrived` is the next of the same list."""
    core = connected()
    core.session.presence.refusal = Refusal("replaced", "by another page")
    core.session.call._connection_did([ReplacementWanted()])
    assert core.session.connection is None
    core.session.conversation.submit("for whoever comes", core.now)
    assert [message.text for message in core.session.conversation.messages] == ["for whoever comes"]
