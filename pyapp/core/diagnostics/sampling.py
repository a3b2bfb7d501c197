"""From the counters of `getStats()` to samples: what happened between two of its answers.

Counters only ever grow while a connection lasts, so that any two answers give a sample of the time between them: one
for the page every second or two, another for the journal over the longer time since its last.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyapp.core.diagnostics.path_report import PathReport
from pyapp.core.path.heartbeat import Pulse
from pyapp.protocol.entries.sample import Sample

LEAST_SECONDS = 0.9
"""Seconds between two answers below which rates would be noise: in a doubt, the browser is asked every 60 ms."""


@dataclass(frozen=True, slots=True)
class Stream:
    """An RTP stream (webrtc-stats, sections 8.4 to 8.6), as far as it is counted."""

    is_video: bool = False
    packets: int = 0
    lost: int = 0
    """Packets that did not arrive; of a sent stream, those that the peer has reported."""
    jitter: float | None = None
    """Seconds."""
    fraction_lost: float | None = None
    """Of a sent stream, since the peer's report before the last."""
    frames: int = 0
    """Decoded or encoded."""
    width: int = 0
    height: int = 0
    freezes: int = 0
    frozen: float = 0.0
    """Seconds."""


_NONE = Stream()
_COUNTED = frozenset({"inbound-rtp", "remote-inbound-rtp", "outbound-rtp"})


@dataclass(frozen=True, slots=True)
class Counters:
    """What was counted until `at`, in seconds on the runner's clock."""

    at: float
    report: PathReport
    inbound: Mapping[str, Stream]
    outbound: Mapping[str, Stream]
    """By the stream's name in `getStats()`."""
    beats_expected: int
    beats_arrived: int
    beats_jitter: float
    """Seconds."""


def counters(stats: Mapping[str, Mapping[str, Any]], report: PathReport, pulse: Pulse, now: float) -> Counters:
    """Return the counters in `getStats()` entries by id, and in the heartbeats."""
    inbound: dict[str, Stream] = {}
    outbound: dict[str, Stream] = {}
    reports: dict[str, Mapping[str, Any]] = {}
    for key, entry in stats.items():
        kind = entry.get("type")
        if kind not in _COUNTED:
            continue
        match kind:
            case "inbound-rtp":
                inbound[key] = Stream(
                    is_video=entry.get("kind") == "video",
                    packets=_count(entry, "packetsReceived"),
                    lost=_count(entry, "packetsLost"),
                    jitter=entry.get("jitter"),
                    frames=_count(entry, "framesDecoded"),
                    width=_count(entry, "frameWidth"),
                    height=_count(entry, "frameHeight"),
                    freezes=_count(entry, "freezeCount"),
                    frozen=float(entry.get("totalFreezesDuration") or 0.0),
                )
            case "remote-inbound-rtp":
                reports[str(entry.get("localId") or "")] = entry
            case "outbound-rtp":
                outbound[key] = Stream(
                    is_video=entry.get("kind") == "video",
                    packets=_count(entry, "packetsSent"),
                    frames=_count(entry, "framesEncoded"),
                    width=_count(entry, "frameWidth"),
                    height=_count(entry, "frameHeight"),
                )
    for key, entry in reports.items():
        if key in outbound:
            one = outbound[key]
            outbound[key] = Stream(
                one.is_video,
                one.packets,
                fraction_lost=entry.get("fractionLost"),
                frames=one.frames,
                width=one.width,
                height=one.height,
            )
    return Counters(now, report, inbound, outbound, pulse.expected, pulse.arrived, pulse.jitter)


def sample(before: Counters, after: Counters) -> Sample:
    """Return what happened between the two."""
    seconds = max(after.at - before.at, 0.001)
    report, inbound = after.report, _moved(before.inbound, after.inbound)
    outbound = _moved(before.outbound, after.outbound)
    jitters = [stream.jitter for _, stream in inbound if stream.jitter is not None]
    losses = [stream.fraction_lost for _, stream in outbound if stream.fraction_lost is not None]
    arrived = after.beats_arrived - before.beats_arrived + sum(new.packets - old.packets for old, new in inbound)
    missing = after.beats_expected - before.beats_expected - (after.beats_arrived - before.beats_arrived)
    missing = max(missing, 0) + max(sum(new.lost - old.lost for old, new in inbound), 0)
    seen = next((pair for pair in inbound if pair[1].is_video and pair[1].frames > pair[0].frames), None)
    shown = next((pair for pair in outbound if pair[1].is_video and pair[1].frames > pair[0].frames), None)
    thawed = [pair for pair in inbound if pair[1].freezes > pair[0].freezes]
    jitter = max(jitters) if jitters else after.beats_jitter
    return Sample(
        seconds=round(seconds, 2),
        path=report.path,
        round_trip_ms=None if report.round_trip is None else round(report.round_trip * 1000, 1),
        jitter_ms=round(jitter * 1000, 1),
        loss_in=round(missing / (missing + arrived), 4) if missing + arrived else None,
        loss_out=round(min(max(losses), 1.0), 4) if losses else None,
        bits_in=_rate(before.report.bytes_received, report.bytes_received, seconds),
        bits_out=_rate(before.report.bytes_sent, report.bytes_sent, seconds),
        frames_in=round((seen[1].frames - seen[0].frames) / seconds, 1) if seen else None,
        frames_out=round((shown[1].frames - shown[0].frames) / seconds, 1) if shown else None,
        width_in=seen[1].width if seen else 0,
        height_in=seen[1].height if seen else 0,
        width_out=shown[1].width if shown else 0,
        height_out=shown[1].height if shown else 0,
        freezes=sum(new.freezes - old.freezes for old, new in thawed),
        frozen_ms=round(sum(new.frozen - old.frozen for old, new in thawed) * 1000),
        available=None if report.available is None else round(report.available),
        local_type=report.local.type,
        relay_protocol=report.local.relay_protocol,
        server=report.server if report.local.type == "relay" else "",
        pair=report.pair,
        ufrag=report.local.username_fragment,
        pair_sent=report.pair_sent,
        pair_received=report.pair_received,
        relayed=report.relayed,
        bytes_sent=report.bytes_sent,
        bytes_received=report.bytes_received,
    )


def _moved(before: Mapping[str, Stream], after: Mapping[str, Stream]) -> list[tuple[Stream, Stream]]:
    """Return the streams of which packets came or went, before and after: others keep what they had, for ever."""
    pairs = ((before.get(name, _NONE), stream) for name, stream in after.items())
    return [(old, new) for old, new in pairs if new.packets > old.packets]


def _rate(before: int, after: int, seconds: float) -> int:
    return round(max(after - before, 0) * 8 / seconds)


def _count(entry: Mapping[str, Any], name: str) -> int:
    return int(entry.get(name) or 0)
