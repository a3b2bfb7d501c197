"""The last ten minutes, for whoever looks now: samples of the path, and what happened meanwhile."""

from collections import deque
from dataclasses import dataclass, field
from itertools import takewhile

from pyapp.protocol.entries import MARKED, MarkKind
from pyapp.protocol.entries.sample import Sample

KEPT = 600.0
"""Seconds of samples and marks that are kept."""

_MOST = 1200
"""Samples: twice as many as one each second makes."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A sample, and when it ended: in seconds on the runner's clock, and in Unix time, as it was then.

    The runner's clock stands still while the machine sleeps, so one cannot be told from the other afterwards.
    """

    at: float
    unix: float
    sample: Sample


@dataclass(frozen=True, slots=True)
class TimeMark:
    """Something that happened at `at`, in seconds on the runner's clock, and `unix`; `text` as in the journal."""

    at: float
    unix: float
    kind: MarkKind
    text: str


@dataclass(slots=True)
class Live:
    """Those of the session, whatever connections it had."""

    samples: deque[Taken] = field(init=False, default_factory=lambda: deque(maxlen=_MOST))
    marks: deque[TimeMark] = field(init=False, default_factory=lambda: deque(maxlen=_MOST))
    count: int = field(init=False, default=0)
    """Of samples and marks so far: it shows whether there are new ones."""
    latest_at: float = field(init=False, default=-1.0)
    """When the last of them was; -1 before the first."""

    def sampled(self, sample: Sample, now: float, unix: float) -> None:
        """Keep a sample that ended `now`, which is `unix`."""
        self.samples.append(Taken(now, unix, sample))
        self.count, self.latest_at = self.count + 1, now
        while unix - self.samples[0].unix > KEPT:
            self.samples.popleft()

    def noted(self, event: str, text: str, now: float, unix: float) -> None:
        """Mark what the journal says happened `now`, which is `unix`, if it belongs on the time axis."""
        if (kind := MARKED.get(event)) is None:
            return
        last = self.marks[-1] if self.marks else None
        if event == "restart" and last is not None and (last.at, last.kind) == (now, kind):
            return  # of the attempt that has just been marked
        self.marks.append(TimeMark(now, unix, kind, text))
        self.count, self.latest_at = self.count + 1, now
        while unix - self.marks[0].unix > KEPT:
            self.marks.popleft()

    def since(self, at: float) -> list[Taken]:
        """Return the samples that ended after `at`, the oldest first, and always the last one."""
        result = list(takewhile(lambda taken: taken.at > at, reversed(self.samples)))
        return result[::-1] or list(self.samples)[-1:]
