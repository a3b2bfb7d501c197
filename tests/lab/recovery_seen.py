"""What one run of the recovery bench came to, as values, and how they follow from what was recorded in the pages."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import Enum
from itertools import pairwise
from math import inf
from statistics import median
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.lab.browser import End

EVERY = 50  # ms between two messages of one side: 20 a second
WARM = 3.0  # seconds of messages before the event: the path has settled, and its round trip is known

_JOURNALED = frozenset(
    {
        *("suspect", "attempt", "recovered", "no-alarm", "restart", "network", "relay-suspected", "relay-well"),
        *("description", "ignored", "operation-failed", "refused", "failed", "fault", "signaling", "peer", "pair"),
        *("channel", "state", "message", "ice-configuration", "sample", "candidate-local", "candidate-remote"),
        *("standby", "standby-used"),
    }
)
"""What is kept of the console's journal: all that recovery decides, and what it decides on."""


class Mode(Enum):
    """What the pages may use. With permission Chromium's ICE goes by a list of interfaces, which is late."""

    NONE = "none"
    CAMERA = "camera"
    """Camera and microphone, allowed for good, and on at both ends."""


@dataclass(kw_only=True)
class Seen:
    """One end of a run. Times are seconds after the event began."""

    host: str
    arrivals: list[float]
    sent: int
    lost: int
    doubled: int
    disordered: int
    refused: int  # what the page would not take, and its person wrote again
    silence: float  # the longest
    silent_from: float
    picture: float | None = None  # seconds for which it stood still at most, if there was one
    still_from: float = 0.0
    sound: float | None = None  # seconds for which there was none at most, if there was one
    frame_rate: float = 0.0  # of the picture before the event, a second
    stall: float  # by which its timers were late at most: the machine is to blame for it
    connections: int  # of RTCPeerConnection that are not closed at the end, but for standbys
    handshakes: int  # of DTLS, of those
    standbys: int = 0  # that were ready to take over when the event began
    generation: int  # how often ICE was restarted since the event, by data-ice-generation
    state: str  # data-state at the end
    path: str = ""  # data-path at the end
    path_since: float = 0.0  # when it became that
    states: list[tuple[float, str]]  # since the event
    timeline: list[tuple[float, str, str]]  # what the browser and the journal say, from a little before the event
    suspicions: list[str]  # the evidence of each
    attempts: list[str]  # the rung of each
    outages: list[float]  # as the console measured them
    problems: list[str]


@dataclass(kw_only=True)
class Run:
    """A row, once."""

    row: str
    subject: str
    ms: float  # one way, at each site
    number: int
    mode: str = Mode.NONE.value
    relays: int = 0  # TURN allocations that both ends made since the event
    took: float = 0.0  # seconds of the lab for the event itself
    spent: dict[str, float] = field(default_factory=dict)  # seconds of the lab for each step
    at: float = 0.0  # when it was over, Unix time
    load: float = 0.0  # of the machine then, over a minute
    version: str = ""  # of the console, as git describes it
    back: bool = False  # whether both received again
    dark: list[dict[str, Any]] = field(default_factory=list)  # what is there of the picture, if it or sound stayed away
    ends: tuple[Seen, ...] = ()
    session: str = ""  # its name in the record
    is_one_of_many: bool = False  # whether more happened to the session, within seconds: the record takes it together
    account: list[tuple[str, str]] = field(
        default_factory=list
    )  # of the record: the rule and the text of each sentence
    failure: str = ""  # why there is nothing to count

    @property
    def gap(self) -> float:
        """The longest silence at either receiver, in seconds."""
        return max((end.silence for end in self.ends), default=inf) if self.back else inf

    @property
    def picture(self) -> float:
        """The longest standstill of the picture at either end, in seconds."""
        return max((inf if end.picture is None else end.picture for end in self.ends), default=inf)

    @property
    def sound(self) -> float:
        """The longest time without sound at either end, in seconds."""
        return max((inf if end.sound is None else end.sound for end in self.ends), default=inf)

    @property
    def generation(self) -> int:
        """How often ICE was restarted since the event, as the end says that counted more."""
        return max((end.generation for end in self.ends), default=0)

    @property
    def is_whole(self) -> bool:
        """Whether nothing was lost, nothing came twice, and all in order."""
        return bool(self.ends) and not any(end.lost or end.doubled or end.disordered for end in self.ends)

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return asdict(self) | {"gap": self.gap if self.back else None}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Return the run that `to_json` made `value` of."""
        given = {name: each for name, each in value.items() if name != "gap"}
        return cls(**given | {"ends": tuple(Seen(**end) for end in given["ends"])})


def seen(
    end: End,
    pump: dict[str, Any],
    report: dict[str, Any],
    journal: Sequence[dict[str, Any]],
    sent: int,
    *,
    begun: float,
    counted: float | None,
    over: float,
    back: bool,
    concealed: float,
    generation: int,
    standbys: int,
    problems: list[str],
) -> Seen:
    """Put together what is known of an end. Times are Unix seconds, but those of its page (ms).

    `concealed` is what was made up of sound since the event, in seconds; `generation` is the ICE generation before it,
    and `standbys` is how many were ready then.
    """
    numbers = [number for _, number, _, _ in pump["received"]]
    arrivals = [at / 1000 - begun for *_, at in pump["received"]]
    silence, silent_from = _longest_silence(
        arrivals, None if counted is None else counted - begun, None if back else over - begun
    )
    shown = [at / 1000 - begun for at in picture_times(pump["frames"])]
    played = [at / 1000 - begun for at in pump["played"]]
    counts = None if counted is None else counted - begun
    still, still_from = _longest_silence(shown, counts, over - begun)
    # A page that stands still does not look, and what was not made up was there.
    unheard = min(_longest_silence(played, counts, pump["ticks"][-1] / 1000 - begun)[0], max(concealed, 0.0))
    timeline = [
        (round(event["at"] / 1000 - begun, 3), event["what"], event["text"])
        for event in report["events"]
        if event["what"] != "candidate"
    ]
    timeline += [
        (round(entry["at"] / 1000 - begun, 3), f"console: {entry['event']}", _words(entry["data"]))
        for entry in journal
        if entry["event"] in _JOURNALED
    ]
    # What comes later is the other side's hanging up.
    after = [entry for entry in journal if begun <= entry["at"] / 1000 <= over]
    return Seen(
        host=end.host.node,
        arrivals=[round(at, 3) for at in arrivals],
        sent=len(pump["sent"]),
        lost=sent - len(set(numbers)),
        doubled=len(numbers) - len(set(numbers)),
        disordered=sum(later < earlier for earlier, later in pairwise(numbers)),
        refused=pump["refused"],
        silence=round(silence, 3),
        silent_from=round(silent_from, 3),
        picture=round(still, 3) if shown else None,
        still_from=round(still_from, 3),
        sound=round(unheard, 3) if played else None,
        frame_rate=round(sum(-1 < at < 0 for at in shown), 1),
        stall=round(_stall(pump["ticks"], begun), 3),
        connections=report["connections"],
        handshakes=sum((event["what"], event["text"]) == ("dtls", "connected") for event in report["events"]),
        standbys=standbys,
        generation=int(report["said"].get("iceGeneration", 0)) - generation,
        state=report["state"],
        path=report["said"].get("path", ""),
        path_since=round(pump["paths"][-1][0] / 1000 - begun, 3) if pump["paths"] else 0.0,
        states=[(round(at / 1000 - begun, 3), state) for at, state in pump["states"] if at / 1000 >= begun],
        timeline=sorted((one for one in timeline if -WARM < one[0] <= over - begun), key=lambda one: one[0]),
        suspicions=[entry["data"]["evidence"] for entry in after if entry["event"] == "suspect"],
        attempts=[entry["data"]["rung"] for entry in after if entry["event"] == "attempt"],
        outages=[entry["data"]["seconds"] for entry in after if entry["event"] == "recovered"],
        problems=problems,
    )


def picture_times(frames: Sequence[tuple[float, int]]) -> list[float]:
    """Return when frames were shown, in ms, of such as the page was told of: time, and how many had been shown by then.

    Of those in between, while the page stood still, nobody knows the times: they are put as late as can be at the usual
    pace, so that a picture that stood still with the page is seen to.
    """
    pace = median([later - earlier for (earlier, m), (later, n) in pairwise(frames) if n - m == 1] or [0.0])
    times = [at for at, _ in frames[:1]]
    for (earlier, m), (later, n) in pairwise(frames):
        times += [max(later - pace * missed, earlier) for missed in range(n - m - 1, 0, -1)]
        times.append(later)
    return times


def _longest_silence(arrivals: Sequence[float], counted: float | None, ended: float | None) -> tuple[float, float]:
    """Return the longest silence since the event and when it began.

    `counted` is when silence begins to count, if not with the last arrival before the event; `ended` is when there was
    no more patience, if there was none.
    """
    after = 0.0 if counted is None else counted
    before = [at for at in arrivals if at <= after]
    begin = before[-1] if before and counted is None else after
    times = [begin, *(at for at in arrivals if at > after), *([] if ended is None else [ended])]
    return max(((later - earlier, earlier) for earlier, later in pairwise(times)), default=(0.0, begin))


def _stall(ticks: Sequence[float], begun: float) -> float:
    pauses = [late - early for early, late in pairwise(ticks) if late / 1000 > begun]
    return (max(pauses, default=EVERY) - EVERY) / 1000


def _words(data: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in data.items() if value not in (None, ""))[:300]
