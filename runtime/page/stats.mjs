// Reads `RTCPeerConnection.getStats()` for pyapp/browser/stats.py.

const CANDIDATE = ["candidateType", "protocol", "address", "port", "relayProtocol", "url", "usernameFragment"];

/** What the console reads, by the type of the entry (webrtc-stats). Nothing else crosses the border to Python. */
const FIELDS = {
  "transport": [
    ...["selectedCandidatePairId", "selectedCandidatePairChanges", "dtlsState", "tlsVersion"],
    ...["bytesSent", "bytesReceived", "packetsReceived"],
  ],
  "candidate-pair": [
    ...["selected", "state", "priority", "localCandidateId", "remoteCandidateId", "currentRoundTripTime"],
    ...["bytesSent", "bytesReceived", "packetsSent", "packetsReceived", "availableOutgoingBitrate"],
    ...["requestsSent", "responsesReceived", "requestsReceived"],
  ],
  "local-candidate": CANDIDATE,
  "remote-candidate": CANDIDATE,
  "data-channel": ["messagesSent", "messagesReceived", "bytesSent", "bytesReceived"],
  "inbound-rtp": [
    ...["kind", "packetsReceived", "packetsLost", "bytesReceived", "headerBytesReceived", "jitter"],
    ...["framesDecoded", "frameWidth", "frameHeight", "freezeCount", "totalFreezesDuration"],
  ],
  "outbound-rtp": [
    ...["kind", "packetsSent", "bytesSent", "headerBytesSent"],
    ...["framesEncoded", "frameWidth", "frameHeight"],
  ],
  "remote-inbound-rtp": ["localId", "fractionLost"],
};

/**
 * Asks one connection for its statistics, and calls back with what is new in them.
 *
 * Candidates and most pairs stay the same from one answer to the next: for Python to read them again each time took as
 * long as all that it makes of them.
 */
export class StatsReader {
  #known = new Map(); // what was read, by id
  #isClosed = false;
  #pc;
  #changed;
  #failed;

  /** `changed` is given the changes as JSON, as `#changes` says; `failed` what `getStats()` was rejected with. */
  constructor(pc, changed, failed) {
    this.#pc = pc;
    this.#changed = changed;
    this.#failed = failed;
  }

  ask() {
    this.#pc.getStats().then(
      (report) => this.#isClosed || this.#changed(this.#changes(report)),
      (error) => this.#isClosed || this.#failed(error),
    );
  }

  /** From now on nothing is called back. */
  close() {
    this.#isClosed = true;
  }

  /** Returns the entries that are new or have changed, by id, and the ids of those that are gone. */
  #changes(report) {
    const known = new Map();
    const changed = {};
    for (const entry of report.values()) {
      const { id, type } = entry;
      const names = FIELDS[type];
      if (!names) continue;
      let read = this.#known.get(id);
      this.#known.delete(id);
      if (!read || names.some((name) => entry[name] !== read[name])) {
        changed[id] = read = { type };
        for (const name of names) read[name] = entry[name]; // JSON leaves out what is undefined
      }
      known.set(id, read);
    }
    const gone = [...this.#known.keys()];
    this.#known = known;
    return JSON.stringify([changed, gone]);
  }
}
