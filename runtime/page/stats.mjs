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
 * Candidates and most values of pairs stay the same from one answer to the next: for Python to read them again each
 * time took as long as all that it makes of them.
 */
export class StatsReader {
  #known = new Map(); // what was read, by id
  #isClosed = false;
  #pc;
  #changed;
  #failed;

  /** `changed` is given the changes as JSON, as `#changes` says; `failed` the error if there are none. */
  constructor(pc, changed, failed) {
    this.#pc = pc;
    this.#changed = changed;
    this.#failed = failed;
  }

  ask() {
    this.#pc
      .getStats()
      .then((report) => this.#isClosed || this.#changed(this.#changes(report)))
      .catch((error) => this.#isClosed || this.#failed(error));
  }

  /** From now on nothing is called back. */
  close() {
    this.#isClosed = true;
  }

  /** Returns the new entries by id, the changed values of others, and the ids of those that are gone. */
  #changes(report) {
    const known = new Map();
    const whole = {};
    const changed = {};
    for (const entry of report.values()) {
      const { id, type } = entry;
      const names = FIELDS[type];
      if (!names) continue;
      const before = this.#known.get(id);
      const read = pick(entry, names);
      known.set(id, read);
      if (!before) {
        whole[id] = read;
        continue;
      }
      for (const name of names) {
        const value = read[name];
        if (value === before[name]) continue;
        // JSON leaves out what is undefined: an entry that loses a value is told as a new one.
        if (value === undefined) whole[id] = read;
        else (changed[id] ??= {})[name] = value;
      }
    }
    const gone = [...this.#known.keys()].filter((id) => !known.has(id));
    const changes = JSON.stringify([whole, changed, gone]);
    this.#known = known; // only now: what could not be told is not known
    return changes;
  }
}

function pick(entry, names) {
  const read = { type: entry.type };
  for (const name of names) read[name] = entry[name];
  return read;
}
