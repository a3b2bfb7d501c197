"""The acceptance cases by name, and a diagonal of the grid that stands for the rest: real browsers at both ends."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.lab import kinds, report, servers
from tests.lab.expect import Leg, Path, Relation
from tests.lab.grid import Case, Snap, Stage
from tests.lab.judge import Verdict
from tests.lab.sites import TURN1, TURN2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path as File

    from playwright.sync_api import Playwright

    from tests.lab.cell import Cell
    from tests.lab.judge import Found
    from tests.lab.kinds import Kind
    from tests.lab.lab import Lab
    from tests.lab.servers import Served

    class Play(Protocol):
        """Measures a case and returns the paths of both ends, and the cell."""

        def __call__(
            self, case: Case, served: Served | None = None, *, snap: Snap = Snap.OFF
        ) -> tuple[Found, Found, Cell]: ...


@pytest.fixture(scope="module")
def console(lab: Lab, config: File) -> Iterator[Served]:
    with servers.console(lab, config) as served:
        yield served


@pytest.fixture(scope="module")
def stage(lab: Lab, playwright: Playwright) -> Iterator[Stage]:
    with Stage(lab, playwright.chromium, ms=0) as stage:
        yield stage


@pytest.fixture
def play(stage: Stage, console: Served) -> Play:
    """Measure a case. Whatever it is about: it comes out as expected, and neither page nor browser complains."""

    def measured(case: Case, served: Served | None = None, *, snap: Snap = Snap.OFF) -> tuple[Found, Found, Cell]:
        (cell,) = stage.play(case, [served or console], snap=snap)
        assert cell.problems == []
        assert cell.verdict is Verdict.OK, report.timelines(cell)
        assert cell.ends
        paths = [end.path for end in cell.ends if end.path]
        return paths[0], paths[1], cell

    return measured


def test_on_the_same_lan_both_ends_select_host_candidates(
    play: Play,
) -> None:
    case = Case(left=kinds.PORT_RESTRICTED, right=kinds.PORT_RESTRICTED, relation=Relation.SAME_LAN)
    left, right, cell = play(case)
    for path in (left, right):
        assert (path.local, path.remote) == ("host", "host")
    assert "connected-lan" in dict(cell.account)


def test_on_the_same_lan_with_camera_permission_both_ends_select_host_candidates(
    play: Play,
) -> None:
    case = Case(left=kinds.SYMMETRIC, right=kinds.SYMMETRIC, relation=Relation.SAME_LAN, camera=True)
    for path in play(case)[:2]:
        assert (path.local, path.remote) == ("host", "host")


@pytest.mark.parametrize(
    "case",
    [
        Case(left=kinds.PORT_RESTRICTED, right=kinds.PORT_RESTRICTED, camera=True),
        Case(left=kinds.SYMMETRIC, right=kinds.SYMMETRIC, camera=True),
        Case(left=kinds.SYMMETRIC, right=kinds.TLS_443_ONLY, camera=True),
        Case(left=kinds.UDP_BLOCKED, right=kinds.HTTP_PROXY, camera=True),
        Case(left=kinds.DUAL_STACK, right=kinds.V6_ONLY, camera=True),
    ],
    ids=lambda case: case.name,
)
def test_with_camera_permission_the_best_path_is_found_too(play: Play, case: Case) -> None:
    play(case)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (kinds.PORT_RESTRICTED, kinds.PORT_RESTRICTED),
        (kinds.FULL_CONE, kinds.RESTRICTED),
        (kinds.RESTRICTED, kinds.SYMMETRIC),
    ],
    ids=lambda kind: kind.name,
)
def test_different_nats_connect_by_reflexive_candidates_with_no_relay(play: Play, left: Kind, right: Kind) -> None:
    for path in play(Case(left=left, right=right))[:2]:
        assert path.path is Path.DIRECT
        assert {path.local, path.remote} <= {"srflx", "prflx"}


def test_symmetric_nats_connect_by_one_relay_over_udp(play: Play) -> None:
    left, right, cell = play(Case(left=kinds.SYMMETRIC, right=kinds.SYMMETRIC))
    assert left.relays == right.relays == 1
    # Either end brings the relay, or each for what it sends: equally good pairs, and each end selects for itself.
    assert Leg.UDP in {left.leg, right.leg} <= {Leg.UDP, None}
    assert sum(cell.relays_made.values()) > 0


def test_where_udp_is_blocked_a_relay_is_reached_over_tcp(lab: Lab, play: Play) -> None:
    # One TURN server: with two, the policy "variety first" has no room for plain TCP.
    with servers.configuration(lab, turn=(TURN1,)) as config, servers.console(lab, config, port=8443) as served:
        left, right, _ = play(Case(left=kinds.SYMMETRIC, right=kinds.UDP_BLOCKED), served)
    assert (left.leg, right.leg) == (None, Leg.TCP)


@pytest.mark.parametrize(
    "kind", [kinds.UDP_BLOCKED, kinds.TCP_443_ONLY, kinds.TLS_443_ONLY, kinds.HTTP_PROXY], ids=lambda kind: kind.name
)
def test_what_lets_only_tls_out_reaches_a_relay_over_tls(play: Play, kind: Kind) -> None:
    left, right, _ = play(Case(left=kinds.SYMMETRIC, right=kind))
    assert (left.leg, right.leg) == (None, Leg.TLS)


def test_two_networks_that_let_only_tls_out_connect_by_two_relays(
    play: Play,
) -> None:
    left, right, _ = play(Case(left=kinds.TLS_443_ONLY, right=kinds.HTTP_PROXY))
    assert (left.leg, right.leg) == (Leg.TLS, Leg.TLS)


def test_with_the_first_turn_server_dead_they_connect_through_the_second(
    play: Play,
) -> None:
    cell = play(Case(left=kinds.SYMMETRIC, right=kinds.SYMMETRIC, first_turn_dead=True))[2]
    assert cell.relays_made[TURN1] == 0
    assert cell.relays_made[TURN2] > 0


def test_without_udp_at_either_end_and_the_first_turn_server_dead_they_connect_through_the_second(
    play: Play,
) -> None:
    left, right, cell = play(Case(left=kinds.UDP_BLOCKED, right=kinds.UDP_BLOCKED, first_turn_dead=True))
    assert (left.leg, right.leg) == (Leg.TLS, Leg.TLS)
    assert cell.relays_made[TURN1] == 0


@pytest.mark.parametrize(
    "case",
    [
        Case(left=kinds.PUBLIC, right=kinds.CGN_SYMMETRIC),
        Case(left=kinds.CGN_CONE, right=kinds.CGN_CONE, relation=Relation.SAME_CARRIER),
        Case(left=kinds.PORT_RESTRICTED, right=kinds.PORT_RESTRICTED, relation=Relation.SAME_ADDRESSES),
        Case(left=kinds.DUAL_STACK, right=kinds.V6_ONLY),
        Case(left=kinds.NAT64, right=kinds.SYMMETRIC),
    ],
    ids=lambda case: case.name,
)
def test_the_best_path_is_found(play: Play, case: Case) -> None:
    play(case)


def test_a_direct_connection_leaves_no_relay_behind_when_both_have_hung_up(play: Play) -> None:
    cell = play(Case(left=kinds.FULL_CONE, right=kinds.RESTRICTED))[2]
    assert cell.relays_left == 0


@pytest.mark.parametrize("snap", [Snap.ONE, Snap.BOTH], ids=lambda snap: snap.value)
def test_sctp_parameters_in_sdp_do_no_harm_whether_the_other_end_knows_them_or_not(play: Play, snap: Snap) -> None:
    _, _, cell = play(Case(left=kinds.FULL_CONE, right=kinds.RESTRICTED), snap=snap)
    assert cell.ends
    assert [end.snap for end in cell.ends] == [True, snap is Snap.BOTH]


def test_the_yardstick_plays_the_same_cells(lab: Lab, config: File, stage: Stage) -> None:
    with servers.yardstick(lab, config) as served:
        cells = [*stage.play(Case(left=kinds.FULL_CONE, right=kinds.RESTRICTED), [served])]
        cells += stage.play(Case(left=kinds.SYMMETRIC, right=kinds.TLS_443_ONLY), [served])
    for cell in cells:
        assert cell.good, report.timelines(cell)
        assert cell.channel_ms


def test_a_report_is_one_page_that_needs_nothing_else(play: Play, playwright: Playwright, tmp_path: File) -> None:
    case = Case(left=kinds.FULL_CONE, right=kinds.RESTRICTED)
    cells = [play(case)[2]]
    run = report.Run(title="A run", when="", commit="", chromium="", kinds=(case.left, case.right), cells=cells)
    file = report.write(run, tmp_path)
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
    page = browser.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: troubles.append(request.url) if request.url != file.as_uri() else None)
    page.goto(file.as_uri())
    page.get_by_role("button", name="full-cone waits, restricted comes: ok").click()
    assert "channel open messages" in page.get_by_role("dialog").inner_text()
    browser.close()
    assert troubles == []
