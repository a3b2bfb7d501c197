"""ICE restarts by hand: from either side and from both at once, with messages on the way."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Console, OpenPage, Operator, pair, wait_until

FLOOD = """async ([from, count]) => {
  const field = document.querySelector("#message"), form = field.form;
  for (let number = from; number < from + count; number += 1) {
    field.value = `message ${number}`;
    form.requestSubmit();
    await new Promise((done) => setTimeout(done, 5));
  }
}"""
"""Messages as a person would send them, only faster."""


def fingerprints(operator: Operator) -> object:
    """Return what a new DTLS handshake would change, as the browser's own statistics have it."""
    return operator.page.evaluate(
        """async () => [...(await peerConnections[0].getStats()).values()]
        .filter((entry) => entry.type === "transport")
        .map((entry) => [entry.id, entry.dtlsState, entry.localCertificateId, entry.remoteCertificateId])"""
    )


ROUNDS = (("first",), ("second",), ("first", "second"), ("first", "second"))
"""Who presses "Restart ICE"."""


def test_restart_loses_nothing_and_keeps_the_connection(console: Console, open_page: OpenPage) -> None:
    operators = dict(zip(("first", "second"), pair(console, open_page, session="restart"), strict=True))
    before = {name: fingerprints(operator) for name, operator in operators.items()}
    sent = 0
    for round_number, sides in enumerate(ROUNDS, 1):
        for operator in operators.values():
            operator.page.evaluate(f"window.flood = ({FLOOD})([{sent}, 60])")
        for side in sides:
            operators[side].page.locator("#restart-ice").click()
        for operator in operators.values():
            operator.page.evaluate("window.flood")
            operator.expect_generation(round_number)
        sent += 60
    texts = [f"message {number}" for number in range(sent)]
    for name, operator in operators.items():
        operator.expect_received(texts)
        operator.expect_state("connected")
        operator.expect_first_connection(console.entries("restart"))
        assert fingerprints(operator) == before[name]
        dtls = operator.page.locator("#log").get_by_text("dtls connected")
        expect(dtls).to_have_count(1)
    wait_until(
        lambda: len({operator.attribute("data-ice-generation") for operator in operators.values()}) == 1,
        "both sides count alike",
    )


CHECKS = """async () => {
  const plain = [new RTCPeerConnection(), new RTCPeerConnection()];
  for (const [one, other] of [plain, [...plain].reverse()]) {
    one.onicecandidate = ({ candidate }) => candidate && other.addIceCandidate(candidate);
  }
  const channels = plain.map((one) => one.createDataChannel("plain", { negotiated: true, id: 0 }));
  const open = new Promise((resolve) => { channels[0].onopen = resolve; });
  const [offerer, answerer] = plain;
  await offerer.setLocalDescription();
  await answerer.setRemoteDescription(offerer.localDescription);
  await answerer.setLocalDescription();
  await offerer.setRemoteDescription(answerer.localDescription);
  await open;
  const ufrag = (one) => one.remoteDescription.sdp.match(/a=ice-ufrag:(.*)/)[1].trim();
  const silent = (one) => one.addIceCandidate({
    candidate: `candidate:7 1 udp 2130706431 198.51.100.77 7777 typ host ufrag ${ufrag(one)}`, sdpMLineIndex: 0,
  });
  const checks = async (one) => {
    const entries = [...(await one.getStats()).values()];
    const remote = entries.filter(({ type, port }) => type === "remote-candidate" && port === 7777).at(-1);
    const pairs = entries.filter((entry) => entry.type === "candidate-pair" && entry.remoteCandidateId === remote?.id);
    return Math.max(0, ...pairs.map((entry) => entry.requestsSent));
  };
  await Promise.all([silent(peerConnections[0]), silent(offerer)]);
  while (await checks(offerer) < 6) await new Promise((resolve) => setTimeout(resolve, 100));
  const counted = [await checks(peerConnections[0]), await checks(offerer)];
  for (const one of plain) one.close();
  return counted;
}"""
"""How often a candidate that does not answer was checked, beside a pair that works: by the console, and by itself."""


@pytest.mark.patient
def test_the_browser_keeps_checking_beside_a_path_that_works(console: Console, open_page: OpenPage) -> None:
    first, second = pair(console, open_page, session="checks")
    for generation in range(2):
        if generation:
            first.page.locator("#restart-ice").click()
        for operator in (first, second):
            operator.expect_generation(generation)
            console_checks, plain_checks = operator.page.evaluate(CHECKS)
            assert console_checks >= 2 * plain_checks, "Chromium paces its checks in another way than it did"
