// Put into every page before its own scripts, the console's and the yardstick's alike: one instrument for both. It writes
// down what the browser says of each connection, in Unix milliseconds, so that both ends and the click share one clock.
// A page may take the constructor of a frame of its own: what that makes is the page's.

(() => {
  if (globalThis !== top) {
    if (top.lab) globalThis.RTCPeerConnection = top.lab.watched(RTCPeerConnection);
    return;
  }

  const now = () => performance.timeOrigin + performance.now();
  let connections = [];
  let clicked = null;

  addEventListener("click", (event) => {
    if (event.target.closest?.("#connect")) clicked = performance.timeOrigin + event.timeStamp;
  }, true);

  // The console rehearses with connections that can reach nobody: they are not measured.
  const isRehearsal = (configuration) => configuration?.iceTransportPolicy === "relay" && !configuration.iceServers?.length;

  const watched = (Original) => class extends Original {
    constructor(...options) {
      super(...options);
      if (!isRehearsal(options[0])) watch(this);
    }

    createDataChannel(...options) {
      const channel = super.createDataChannel(...options);
      watchChannel(this, channel);
      return channel;
    }
  };
  globalThis.RTCPeerConnection = watched(RTCPeerConnection);

  function watch(pc) {
    const one = { pc, events: [], candidates: [], opened: false, aside: "" };
    connections.push(one);
    note(pc, "connection made");
    pc.addEventListener("icecandidate", ({ candidate }) => {
      if (!candidate?.candidate) return;
      const { type, protocol, address, port, relayProtocol, url } = candidate;
      one.candidates.push({ type, protocol, address, port, relayProtocol: relayProtocol ?? "", url: url ?? "" });
      note(pc, "candidate", `${type} ${protocol} ${address}:${port}${relayProtocol ? ` over ${relayProtocol}` : ""}`);
    });
    for (const name of ["iceGatheringState", "iceConnectionState", "connectionState", "signalingState"]) {
      pc.addEventListener(name.toLowerCase() + "change", () => note(pc, name, pc[name]));
    }
    pc.addEventListener("datachannel", ({ channel }) => watchChannel(pc, channel));
    pc.addEventListener("signalingstatechange", () => watchTransport(one));
  }

  function watchChannel(pc, channel) {
    // The console's second path is a connection of its own, and so is its question to a STUN server: they are not measured.
    if (!entry(pc)) return;
    if (["standby", "probe"].includes(channel.label)) entry(pc).aside = channel.label;
    channel.addEventListener("open", () => {
      entry(pc).opened = true;
      note(pc, "channel open", channel.label);
    });
  }

  function watchTransport(one) {
    const dtls = one.pc.sctp?.transport;
    if (!dtls || one.watched) return;
    one.watched = true;
    dtls.addEventListener("statechange", () => note(one.pc, "dtls", dtls.state));
    const ice = dtls.iceTransport;
    ice.addEventListener("selectedcandidatepairchange", () => {
      const pair = ice.getSelectedCandidatePair();
      if (pair) note(one.pc, "pair", `${pair.local.type} ${pair.local.address ?? ""} to ${pair.remote.type} ${pair.remote.address ?? ""}`);
    });
  }

  const entry = (pc) => connections.find((one) => one.pc === pc);

  function note(pc, what, text = "") {
    entry(pc)?.events.push({ at: now(), what, text });
  }

  const primaries = () => connections.filter(({ aside }) => !aside);

  // The connection in use: of several, the newest that lives.
  const current = () => primaries().findLast(({ pc }) => pc.connectionState !== "closed") ?? primaries().at(-1);

  async function path(pc) {
    const stats = await pc.getStats();
    const entries = [...stats.values()];
    const transport = entries.find(({ type }) => type === "transport");
    const pair = stats.get(transport?.selectedCandidatePairId);
    if (!pair) return null;
    const local = stats.get(pair.localCandidateId);
    const remote = stats.get(pair.remoteCandidateId);
    return {
      local: local.candidateType,
      remote: remote.candidateType,
      protocol: local.protocol,
      relayProtocol: local.relayProtocol ?? "",
      url: local.url ?? "",
      localAddress: local.address ?? "",
      remoteAddress: remote.address ?? "",
      tls: transport.tlsVersion ?? "",
      roundTrip: pair.currentRoundTripTime ?? null,
    };
  }

  // Waits until `holds` does or patience (ms) ends; says which.
  async function until(holds, patience, pause = 20) {
    const end = performance.now() + patience;
    for (;;) {
      if (await holds()) return true;
      if (performance.now() > end) return false;
      await new Promise((resolve) => { setTimeout(resolve, pause); });
    }
  }

  globalThis.lab = {
    watched,

    // Of what kind it receives, in the connection in use.
    receiver: (kind) => current()?.pc.getReceivers().find(({ track }) => track.kind === kind),

    // Forget what is over. A connection that a page has made ahead of the click is kept.
    begin() {
      connections = connections.filter(({ pc }) => pc.connectionState !== "closed");
      clicked = null;
    },

    // Click so many ms after the page is ready.
    clickWhenReady: (rest) => new Promise((resolve) => {
      const look = () => {
        if (document.body?.dataset.state !== "ready") return;
        observer.disconnect();
        setTimeout(() => { document.querySelector("#connect").click(); resolve(); }, rest);
      };
      const observer = new MutationObserver(look);
      observer.observe(document, { attributes: true, childList: true, subtree: true });
      look();
    }),

    // Until nothing more is gathered, or it takes too long: some servers never answer some networks.
    gathered: (patience) => until(() => connections.every(({ pc, aside }) => aside === "probe" ||
      ["complete", "new"].includes(pc.iceGatheringState) || pc.connectionState === "closed"), patience),

    // Until a channel is open, or the page has given up.
    opened: (patience) => until(() =>
      Boolean(current()?.opened) || document.body.dataset.state === "failed", patience),

    // Of every connection that is there since the last beginning: the first is the session's.
    states: () => connections.map(({ pc }) => pc.connectionState),

    // Standbys that could carry something now.
    standbys: () => connections.filter(({ aside, opened, pc }) => aside === "standby" && opened && pc.connectionState === "connected").length,

    // As it was when the page had told it.
    path: () => current()?.path ?? null,

    // It is at both ends as good as can be.
    settled() {
      current().settled = now();
    },

    // Until the page says that it is connected, and of its path what getStats says of it, if it says anything of one. Both
    // are kept, as they were at one moment. Asked seldom, for a browser answers with what it found up to 50 ms before, and
    // the page is to find news.
    told: (patience) => until(async () => {
      const one = current();
      one.path = await path(one.pc);
      one.said = { ...document.body.dataset };
      const { localCandidate: local, remoteCandidate: remote, protocol, relayProtocol, state } = one.said;
      if (local === undefined) return true;
      const said = { local, remote, protocol, relayProtocol };
      return state === "connected" && Object.keys(said).every((name) => one.path?.[name] === said[name]);
    }, patience, 200),

    async report() {
      const one = current();
      return {
        clicked,
        state: document.body.dataset.state,
        said: one?.said ?? { ...document.body.dataset },
        // Not those that were begun in a doubt, and given up.
        connections: primaries().filter(({ pc }) => pc.connectionState !== "closed").length,
        opened: Boolean(one?.opened),
        events: primaries().flatMap(({ events }) => events).sort((a, b) => a.at - b.at),
        candidates: one?.candidates ?? [],
        settled: one?.settled ?? null,
        path: one ? one.path ?? await path(one.pc) : null,
        snap: Boolean(one?.pc.localDescription?.sdp.includes("\na=sctp-init:")),
      };
    },
  };
})();
