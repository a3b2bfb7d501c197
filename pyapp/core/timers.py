"""The timers of the core, one enum per part, so that the type checker verifies that each part handles its own timers.

A part handles them in `due(timer, now)`, or its owner calls the method that a single timer is for. The values are for
logs.
"""

from enum import StrEnum
from typing import TypeAlias


class SessionTimer(StrEnum):
    """Of `session`."""

    JOURNAL = "journal"
    PREPARE = "prepare"
    TAKE_OVER = "take-over"


class ProvisioningTimer(StrEnum):
    """Of `provisioning`."""

    RENEW = "ice-configuration"
    RETRY = "ice-configuration-retry"
    LATE = "ice-configuration-late"


class ConversationTimer(StrEnum):
    """Of `conversation`."""

    DELIVERY = "delivery"


class LinkTimer(StrEnum):
    """Of `signaling/link`."""

    RETRY = "signaling-retry"
    OPENING = "signaling-opening"
    PING = "signaling-ping"


class PlaceTimer(StrEnum):
    """Of `signaling/rendezvous`."""

    ACKNOWLEDGE = "signaling-acknowledge"
    SEND_AGAIN = "signaling-send-again"
    AWAITED = "signaling-peer-awaited"
    LATE = "signaling-late"
    TOGETHER = "signaling-together"


class ConnectionTimer(StrEnum):
    """Of `path/connection`, and of its parts with a single timer."""

    FIRST_OFFER = "first-offer"
    RENEW = "renew"
    HEAD_START = "head-start"


class ObservationTimer(StrEnum):
    """Of `path/observation`."""

    STATS = "stats"
    STATS_SETTLED = "stats-settled"
    KEEP_CHECKING = "keep-checking"


class RelayingTimer(StrEnum):
    """Of `path/relaying`."""

    NEEDLESS_RELAY = "needless-relay"
    ONE_NETWORK = "one-network"
    RESTART = "restart"


class AsideTimer(StrEnum):
    """Of `path/aside`."""

    STANDBY = "standby"
    PROBE = "probe"


class RecoveryTimer(StrEnum):
    """Of `path/recovery`."""

    BEAT = "beat"
    SILENCE = "silence"
    ATTEMPT = "recovery-attempt"
    LOST = "recovery-lost"
    SETTLE = "network-settled"


class RelaysTimer(StrEnum):
    """Of `path/relays`."""

    DIRECT = "direct-path"
    RELEASE = "release-relays"


class CheckTimer(StrEnum):
    """Of `check/check`."""

    TICK = "check"


OfThePlace: TypeAlias = PlaceTimer | LinkTimer
OfTheRelays: TypeAlias = RelayingTimer | RelaysTimer
OfTheConnection: TypeAlias = ConnectionTimer | ObservationTimer | OfTheRelays | AsideTimer | RecoveryTimer
Timer: TypeAlias = SessionTimer | ProvisioningTimer | ConversationTimer | OfThePlace | OfTheConnection | CheckTimer
