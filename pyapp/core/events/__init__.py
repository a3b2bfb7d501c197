"""What can happen to a session: the only input of the core. The shells create events, and the inbox keeps their order.

Times are seconds on the runner's monotonic clock, unless a name says otherwise.
"""

from typing import TypeAlias

from pyapp.core.events.checking import (
    CheckEvent,
    CheckReportKept,
    CheckRequested,
    CheckServersFailed,
    CheckServersReceived,
    CheckStopRequested,
    WebSocketTried,
)
from pyapp.core.events.inviting import (
    AccessTold,
    AddressChosen,
    InvitationIssued,
    InvitationRequested,
    InvitationRevoked,
    InvitationsListed,
    InviteClosed,
    InviteOpened,
    InvitingEvent,
    InvitingFailed,
    InvitingRequest,
    LinkWanted,
    RevocationRequested,
)
from pyapp.core.events.media import (
    DeviceChosen,
    DevicesListed,
    MediaEnded,
    MediaEvent,
    MediaFailed,
    MediaKind,
    MediaMuted,
    MediaStarted,
    MediaStopped,
    MediaToggled,
    SoundChosen,
    TrackKind,
)
from pyapp.core.events.page import (
    CapturePermitted,
    Fault,
    InvitationGiven,
    NetworkChanged,
    PageClosing,
    PageShown,
    PlaceGiven,
    PlaceWanted,
    Slept,
    TabEntered,
    TabEvent,
    TabLeft,
    TimerFired,
    VisibilityChanged,
)
from pyapp.core.events.peer import (
    CandidateError,
    ChannelClosed,
    ChannelDrained,
    ChannelFilled,
    ChannelLabel,
    ChannelOpened,
    ChannelReceived,
    LocalCandidate,
    LocalCandidatesEnded,
    LocalDescriptionSet,
    NegotiationNeeded,
    OfPeer,
    PairChanged,
    PeerEvent,
    PeerOperationFailed,
    RemoteDescriptionSet,
    SessionDescription,
    StateChanged,
    StateName,
    StatsSampled,
)
from pyapp.core.events.person import (
    ConnectExpected,
    ConnectRequested,
    DiagnosticsShown,
    HangUpRequested,
    MessageSentAgain,
    MessageSubmitted,
    NameGiven,
    PersonActive,
    RestartRequested,
    SessionEdited,
)
from pyapp.core.events.server import (
    HealthTold,
    IceConfigurationFailed,
    IceConfigurationReceived,
    Obstacle,
    ObstacleKind,
    SignalingClosed,
    SignalingEvent,
    SignalingGarbled,
    SignalingOpened,
    SignalingReceived,
)

Event: TypeAlias = (
    ConnectExpected
    | SessionEdited
    | ConnectRequested
    | HangUpRequested
    | RestartRequested
    | MessageSubmitted
    | MediaEvent
    | MessageSentAgain
    | NameGiven
    | DiagnosticsShown
    | PersonActive
    | PageClosing
    | PageShown
    | TabEvent
    | InvitationGiven
    | InvitingEvent
    | CheckEvent
    | IceConfigurationReceived
    | IceConfigurationFailed
    | SignalingEvent
    | OfPeer
    | NetworkChanged
    | CapturePermitted
    | VisibilityChanged
    | TimerFired
    | Slept
    | Fault
)
