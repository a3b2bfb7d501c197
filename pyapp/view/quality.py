"""The line that says how good the connection is, why it is no better, and what to do."""

from dataclasses import dataclass

from pyapp.core.diagnostics.path_report import PathReport
from pyapp.core.diagnostics.quality import Finding, Level, RuleId
from pyapp.core.session import Session
from pyapp.protocol.entries.sample import Sample
from pyapp.view.status import is_near

LEVELS: dict[Level, str] = {"good": "Good", "fair": "Fair", "unstable": "Unstable", "lost": "Lost"}

_REASONS: dict[RuleId, tuple[str, str]] = {
    "lost": ("Nothing arrives any more.", "Another path is being looked for; you need do nothing."),
    "silent": ("Nothing has arrived for a moment.", "Another path is being looked for already."),
    "recovered": ("It was interrupted a moment ago.", "It works again; you need do nothing."),
    "loss-in": (
        "{value:.0%} of what is sent to you gets lost.",
        "If you are on Wi-Fi, use a cable, or move closer to the router. Otherwise it may be the other side's network.",
    ),
    "loss-out": (
        "{value:.0%} of what you send gets lost.",
        "If you are on Wi-Fi, use a cable, or move closer to the router. Close anything else that uploads.",
    ),
    "freezes": (
        "The video froze for {value:.0%} of the last few seconds.",
        "Ask the other side to close anything else that uses their network, or to switch the camera off for a while.",
    ),
    "late-beats": (
        "The other side is heard with gaps.",
        "A weak or busy radio link does that: use a cable, or move closer to the router.",
    ),
    "round-trip": (
        "It takes {value:.0f} ms to the other side and back.",
        "Downloads and uploads on either network slow it down; a relay far away does, too.",
    ),
    "jitter": (
        "What you receive arrives unevenly, by {value:.0f} ms.",
        "A busy Wi-Fi does that: use a cable, or close anything else that uses the network.",
    ),
    "narrow": (
        "There is little room for what you send.",
        "Close anything else that uploads, or switch your camera off and keep the sound.",
    ),
}
"""By the id of the rule: reason and advice."""


@dataclass(frozen=True, slots=True)
class Quality:
    """`level` and `line` belong to the page-state contract of the README."""

    level: Level = ""
    line: str = ""
    """`Good · direct · LAN · IPv6 · 12 ms · 0 % loss · 720p 30 fps`, or empty."""
    reason: str = ""
    """Why it is no better, in a sentence, or empty."""
    advice: str = ""
    """What to do about it, in a sentence, or empty."""
    rule: str = ""
    """The id of the rule that is the reason."""
    announcement: str = ""
    """What a screen reader says; it only changes with the level or the rule."""


def inputs(session: Session) -> object:
    """Return what it depends on."""
    connection, quality = session.connection, session.quality
    report = connection.report if connection and connection.established else None
    return quality.level, quality.findings, quality.latest, report, report and is_near(session, report)


def quality(session: Session) -> Quality:
    """Present it."""
    connection, now = session.connection, session.quality
    if not now.level or connection is None:
        return Quality()
    parts = [LEVELS[now.level]]
    if now.level != "lost" and connection.report is not None:
        parts += _path(connection.report, is_near=is_near(session, connection.report))
        trip = connection.report.round_trip
        parts += [] if trip is None else [f"{trip * 1000:.0f} ms" if trip >= 0.0005 else "< 1 ms"]
        parts += _measured(now.latest) if now.latest else []
    worst = now.findings[0] if now.findings else None
    reason, advice = words(worst) if worst else ("", "")
    return Quality(
        now.level, " · ".join(parts), reason, advice, worst.rule if worst else "", _announcement(now.level, worst)
    )


def words(finding: Finding) -> tuple[str, str]:
    """Return reason and advice."""
    reason, advice = _REASONS[finding.rule]
    return reason.format(value=finding.value).replace("%", "\u202f%"), advice


def _announcement(level: Level, worst: Finding | None) -> str:
    # Losing the connection, and having it again, is said by the status.
    if level in ("", "lost") or (worst and worst.rule in ("silent", "recovered")):
        return ""
    return f"Connection quality: {LEVELS[level].lower()}."


def _path(report: PathReport, *, is_near: bool) -> list[str]:
    over = report.local.relay_protocol.upper()
    if report.path == "relay":
        return list(filter(None, [f"relay over {over}" if over else "relay", report.family]))
    return list(filter(None, ["direct", "LAN" if is_near else "internet", report.family]))


def _measured(sample: Sample) -> list[str]:
    losses = [loss for loss in (sample.loss_in, sample.loss_out) if loss is not None]
    result = [f"{percent(max(losses))} loss"] if losses else []
    if sample.frames_in is not None:
        result.append(f"{sample.height_in}p {sample.frames_in:.0f} fps")
    return result


def percent(fraction: float) -> str:
    """Return `0 %`, `0.4 %`, `12 %`."""
    hundredths = fraction * 100
    return f"{hundredths:.1f} %" if 0.05 <= hundredths < 1 else f"{hundredths:.0f} %"
