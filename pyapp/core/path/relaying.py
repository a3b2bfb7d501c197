"""What each ICE restart of a connection gathers, and when a restart is due to leave a relay, or to gather one.

our relay went silent                       it is set aside at both sides, and spares are asked for
the peer restarts                           few relays are gathered at first: one is enough, and theirs is on its way
an attempt in an outage                     as its rung says
credentials were renewed                    a relay in use is left while it works
on a relay that may not be needed           a direct path is looked for, at once and from time to time
on a relay between pages of one network     a connection over every interface is tried
on a direct path for a while                the relays that were gathered beside it are given up, when nobody talks
no more relays are given                    nothing that can wait: the relay in use would be lost
"""

import math
from dataclasses import dataclass, field
from typing import assert_never

from pyapp.core import commands
from pyapp.core.diagnostics.gathering import local_candidate
from pyapp.core.diagnostics.path_report import PathReport
from pyapp.core.failures import no_path
from pyapp.core.negotiation.candidates import Candidates
from pyapp.core.negotiation.negotiation import Negotiation, ToPeer
from pyapp.core.negotiation.restarts import Output as RestartOutput
from pyapp.core.negotiation.restarts import Restarts
from pyapp.core.path.facts import Failed, Output, PeerLost, ReplacementWanted, SparesWanted
from pyapp.core.path.ladder import FIRST_DEADLINE, Rung
from pyapp.core.path.observation import Observation
from pyapp.core.path.outside import Outside
from pyapp.core.path.recovery import Recovery
from pyapp.core.path.relays import Relays
from pyapp.core.timers import OfTheRelays, RelayingTimer, RelaysTimer
from pyapp.protocol import entries
from pyapp.protocol.peer import Candidate, RelaySuspected

NEEDLESS_RELAY, ONE_NETWORK = RelayingTimer.NEEDLESS_RELAY, RelayingTimer.ONE_NETWORK

NEEDLESS_RELAY_AFTER = 0.4
"""Seconds on a possibly needless relay before a direct path is looked for: a better pair than the first is usually
nominated by then."""

ONE_NETWORK_AFTER = 1.5
"""Seconds on a relay with a peer of the same public address before a connection over every interface is tried: on a
network without working mDNS (RFC 6762) only the real addresses allow a direct path."""

TALKING = 2.0
"""Seconds after a message, or the acknowledgement of one, in which relays that are not needed are kept: to give them up
takes an ICE restart, for which nobody should wait."""

ATTEMPTS_WITHOUT_PEER = 3
"""Attempts without a sign of life of a peer that has left the server, too, after which it counts as gone."""


@dataclass(slots=True)
class Relaying:
    """The relays of one connection, whose parts it uses. Times are seconds on the runner's clock."""

    relays: Relays
    agreed: Negotiation
    candidates: Candidates
    health: Recovery
    restarts: Restarts
    observation: Observation
    outside: Outside = field(repr=False)
    every_interface: bool
    """Whether the connection gathers on every interface, not only on the default route."""
    capture_permitted: bool
    """Whether the page may see every interface."""
    talked_at: float = field(init=False, default=-math.inf)
    """When a frame of the conversation last arrived."""
    _credentials_wait: bool = field(init=False, default=False)
    """Whether credentials were renewed during an outage, after the last attempt had begun."""
    _tried_with_expired: bool = field(init=False, default=False)
    """Whether that attempt had only expired credentials."""
    _answered: int = field(init=False, default=0)
    """Restarts of the peer's that we have answered since a path was last proven."""
    _offered_at: float | None = field(init=False, default=None)
    """When the offer of the last attempt was made, unless it may never have reached the server."""
    _has_looked_again: bool = field(init=False, default=False)
    """Whether a direct path was looked for since the last outage because of a needless relay."""

    def due(self, timer: OfTheRelays, now: float) -> list[Output]:
        """Do what the timer was set for."""
        match timer:
            case RelayingTimer.RESTART:
                return self.restart_if_settled(now)
            case RelayingTimer.NEEDLESS_RELAY:
                return self.look_for_direct_path(now)
            case RelayingTimer.ONE_NETWORK:
                return self.take_every_interface()
            case RelaysTimer.DIRECT:
                return self.look_again_for_direct_path(now)
            case RelaysTimer.RELEASE:
                return self.release(now)
            case _:
                assert_never(timer)

    def no_path(self) -> Failed:
        """Say that no path was found, and why."""
        return Failed(no_path(self.candidates.gathering, relay_only=self.relays.policy == "relay"))

    def set_configuration(self) -> list[Output]:
        """Set the browser's configuration for the next gathering."""
        return [commands.SetConfiguration(self.relays.usual(gathered=self.agreed.gathers_relays))]

    # Restarts.

    def want_restart(self, why: str, now: float) -> list[Output]:
        """Restart ICE once the last restart has settled."""
        return self._configured_for(self.restarts.want(why, now))

    def restart_if_settled(self, now: float) -> list[Output]:
        """Begin the wanted restart, if it need not wait any longer."""
        return self._configured_for(self.restarts.begin_if_settled(now))

    def generation_agreed(self) -> list[Output]:
        """Record an agreed ICE restart, from either side and for any reason: it reconsiders every path."""
        self._has_looked_again = True
        return [commands.CancelTimer(NEEDLESS_RELAY)]

    def _configured_for(self, outputs: list[RestartOutput]) -> list[Output]:
        # The last answer, or the last rung tried, may have left another configuration in the browser.
        begins = any(isinstance(output, commands.RestartIce) for output in outputs)
        return [*(self.set_configuration() if begins else []), *outputs]

    def restart_for_person(self, now: float) -> list[Output]:
        """Restart because the person asked for it."""
        if self._is_relayed and not self.relays.are_there:
            return [entries.RestartRefused(refused=True)]
        return [*self._with_relays(), *self.want_restart("person", now)]

    def restart_for_peer(self, generation: int, now: float) -> list[Output]:
        """Offer the restart that the peer leaves to us, unless we have offered a newer one than `generation`.

        Either that one is being answered, and the peer gathers for the answer; or the message is late, and what was
        wrong is mended. Where a relay is in use we gather ours for the offer: the peer's would come with the answer, a
        round trip later. If that relay may be to blame, it is set aside first, as in an attempt of our own: while a
        new one has a lower priority than the one in use, Chromium prunes its pairs.
        """
        if self.agreed.latest_generation > generation:
            return [entries.Ignored("request for a restart", "newer-offered")]
        why = "peer"
        if self.agreed.is_between_browsers:
            return [*self._with_relays(), *self.want_restart(why, now)]
        report = self.observation.report
        blamed = self.blame() if self.health.has_fallen_silent(now) else []
        is_relayed = report is not None and report.path == "relay"
        gathered = self.set_configuration() if is_relayed else self.with_few()
        return [*blamed, *gathered, *self.restarts.begin(why, now, replace_offer=True)]

    def _with_relays(self) -> list[Output]:
        """Gather relays again, if they were given up."""
        if self.agreed.gathers_relays:
            return []
        self.agreed.gathers_relays = True
        return self.set_configuration()

    def with_few(self) -> list[Output]:
        """Gather for a restart that the peer has begun, or asked for; at first without relays.

        One relay is enough, and theirs is on its way. Each of ours would be paired with each of their candidates, and
        would delay the check of the pair that works.
        """
        if self.restarts.asked_peer:
            self.restarts.asked_peer = False  # we provide the relays, and the attempt says which
            return [] if self.health.is_suspect else self.set_configuration()
        self._answered = 1 if self.restarts.is_proven else self._answered + 1
        report = self.observation.report
        ours_alone = report and report.local.type == "relay" and report.remote.type != "relay"
        if self._answered > 1 or ours_alone or self.relays.policy == "relay":
            return self.set_configuration()
        return [commands.SetConfiguration(self.relays.usual(gathered=False))]

    def attempt(self, rung: Rung, number: int, now: float) -> list[Output]:
        """Try `rung`, the `number`-th attempt of an outage."""
        if self.outside.peer_is_away and number > ATTEMPTS_WITHOUT_PEER:
            return [PeerLost()]
        tried = entries.Attempt(rung, number)
        self.agreed.gathers_relays = True
        self._credentials_wait = False
        self._tried_with_expired = self.relays.have_expired(now)
        fresh = [SparesWanted()] if self._tried_with_expired else []
        configuration = self.relays.ranked
        match rung:
            case "new-connection":
                return [tried, ReplacementWanted()]
            case "relay-only" if self.relays.are_there:
                configuration = configuration.relay_only()
            case "tcp-only" if self.relays.are_there:
                configuration = configuration.relay_only(over_tcp=True, without=self.relays.suspected)
        if number > 1 and self._awaits_peer and not fresh:
            return [tried]
        self._offered_at = now
        restart = self.restarts.begin(f"attempt {number}", now, replace_offer=True)
        return [tried, *fresh, commands.SetConfiguration(configuration), *restart]

    @property
    def is_exchanging(self) -> bool:
        """Whether an offer of either side is being answered, by a peer that is within reach."""
        return self.agreed.state != "stable" and not self._awaits_peer

    @property
    def _awaits_peer(self) -> bool:
        """Whether the last attempt's offer lies at the server, for a peer that is out of reach.

        It will do when the peer is back. Each further one would cost its allocations, and the peer would find them all.
        """
        if self._offered_at is None or self.agreed.state != "have-local-offer":
            return False
        return self.outside.peer_heard < self._offered_at

    def server_is_back(self, now: float) -> None:
        """Consider an offer lost that was made while the server was out of reach, and its candidates with it."""
        if self._offered_at is not None and now - self._offered_at > FIRST_DEADLINE:
            self._offered_at = None

    # Relays that went silent, and their credentials.

    def blame(self) -> list[Output]:
        """Set our relay in use aside at both ends: it may be the cause of the silence."""
        report = self.observation.report
        if report is None or report.local.type != "relay" or not report.server:
            return []
        return [*self.suspect(report.server), ToPeer(RelaySuspected(report.server))]

    def suspect(self, url: str) -> list[Output]:
        """Set the relay at `url` aside."""
        return [*self.set_configuration(), SparesWanted()] if self.relays.set_aside(url) else []

    def gathered(self, candidate: Candidate, url: str) -> list[Output]:
        """Record a candidate from the server at `url`: a relay that was set aside may work again."""
        gathered = local_candidate(candidate)
        if gathered.type != "relay" or not self.health.is_healthy:
            return []
        known = url or self.relays.relayed_from(gathered.address)  # Firefox does not say which it is
        host = self.relays.answered(known) if known else ""
        return [entries.RelayWell(host)] if host else []

    def configured(self, now: float, *, is_renewal: bool) -> list[Output]:
        """Take a new configuration; in an outage, start over with it if the attempt had only expired credentials."""
        result = self.set_configuration()
        if not self.health.is_suspect:
            return result
        if self._tried_with_expired:
            self._tried_with_expired = False
            return [*result, *self.restarts.begin("credentials-expired", now, replace_offer=True)]
        self._credentials_wait |= is_renewal
        return result

    def recovered(self) -> bool:
        """Reset after an outage; return whether credentials were renewed during it that are not in use yet."""
        self._has_looked_again = False
        waited, self._credentials_wait = self._credentials_wait, False
        return waited

    def leave_relay(self, now: float) -> list[Output]:
        """Leave a relay while it works: some servers end an allocation soon after its credentials expire."""
        report = self.observation.report
        is_relayed = report is not None and report.local.type == "relay" and self.relays.are_there
        return self.want_restart("credentials-renewed", now) if is_relayed else []

    # Relays that may not be needed.

    def review(self, report: PathReport) -> list[Output]:
        """Start the timers for the path in `report` that may end the use of relays."""
        result: list[Output] = []
        # Both sides may see it, and the polite one leaves the restart to its peer, unless that knows no address of ours
        # and sees no reason.
        times = 2 if self.agreed.polite else 1
        if self.agreed.leads_restarts:
            result += self.relays.review(report, gathered=self.agreed.gathers_relays)
        if self.candidates.may_be_direct(report) and self.relays.policy == "all" and not self._has_looked_again:
            self._has_looked_again = True
            after = NEEDLESS_RELAY_AFTER * (1 if self.candidates.told_nothing(report) else times)
            result.append(commands.StartTimer(NEEDLESS_RELAY, after))
        if report.path == "relay" and self.candidates.share_address and not self.every_interface:
            result.append(commands.StartTimer(ONE_NETWORK, ONE_NETWORK_AFTER * times, only_if_idle=True))
        return result

    @property
    def _is_relayed(self) -> bool:
        report = self.observation.report
        return self.health.is_healthy and report is not None and report.path == "relay"

    def look_for_direct_path(self, now: float) -> list[Output]:
        """Restart ICE, since the relay may be needless (timer `NEEDLESS_RELAY`)."""
        is_to_look = self._is_relayed and self.relays.are_there
        return self.want_restart("direct-path", now) if is_to_look else []

    def look_for_direct_path_soon(self) -> list[Output]:
        """Do so in a moment, to save what the relay costs; the polite side leaves it to its peer."""
        if self.relays.policy == "relay":
            return []
        return [commands.StartTimer(NEEDLESS_RELAY, NEEDLESS_RELAY_AFTER * (2 if self.agreed.polite else 1))]

    def look_again_for_direct_path(self, now: float) -> list[Output]:
        """Do so from time to time (timer `relays.DIRECT`)."""
        result = self.look_for_direct_path(now)
        if result:
            self.relays.looked_for_direct_path()
        return result

    def take_every_interface(self) -> list[Output]:
        """Try a connection that gathers on every interface (timer `ONE_NETWORK`)."""
        if not self._is_relayed or self.relays.policy == "relay":
            return []
        if not self.capture_permitted or not self.outside.signaling_is_there:
            return []
        near = entries.OneNetwork()
        return [near, ReplacementWanted(every_interface=True)]

    def release(self, now: float) -> list[Output]:
        """Give up the relays of a connection that does not need them, at both ends (timer `relays.RELEASE`)."""
        report = self.observation.report
        if report is None or report.path != "direct" or not self.relays.configuration.relay_hosts:
            return []
        # A late beat may be the begin of an outage, whose first attempt would replace the offer.
        is_quiet = self.health.is_healthy and not self.health.is_doubtful and self.agreed.state == "stable"
        if not is_quiet or not self.outside.signaling_is_there:
            return []
        if now - self.talked_at < TALKING:
            return [commands.StartTimer(RelaysTimer.RELEASE, TALKING)]
        self.agreed.gathers_relays = False
        restart = self.restarts.begin("relays-needless", now)
        return [*self.set_configuration(), *restart]
