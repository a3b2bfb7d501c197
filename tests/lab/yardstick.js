// The yardstick: what a competent person writes by hand. Perfect negotiation as in the W3C's text (WebRTC 1.0, section
// 10.7), trickle ICE, one data channel, an ICE restart when the connection has failed. Nothing is clever here on purpose.

const element = (id) => document.getElementById(id);
const state = (value) => { document.body.dataset.state = value; };

let socket, pc, channel;

async function connect() {
  const session = encodeURIComponent(element("session").value);
  state("connecting");
  const configuration = fetch(`/ice?session=${session}`).then((response) => response.json());
  const signaling = socket = new WebSocket(`wss://${location.host}/ws?session=${session}`);
  signaling.onopen = () => { if (!pc) state("waiting"); };
  // Messages are taken one after the other: the first may have to wait for the configuration.
  let last = configuration;
  signaling.onmessage = ({ data }) => {
    last = last.then(async () => {
      if (socket === signaling) await receive(JSON.parse(data), await configuration);
    });
  };
}

let polite, makingOffer, ignoreOffer;

async function receive({ start, polite: second, description, candidate }, configuration) {
  if (start) {
    polite = second;
    makingOffer = ignoreOffer = false;
    begin(configuration);
    return;
  }
  if (!pc) return;
  if (description) {
    const collision = description.type === "offer" && (makingOffer || pc.signalingState !== "stable");
    ignoreOffer = !polite && collision;
    if (ignoreOffer) return;
    await pc.setRemoteDescription(description);
    if (description.type === "offer") {
      await pc.setLocalDescription();
      say({ description: pc.localDescription });
    }
  } else if (candidate) {
    try {
      await pc.addIceCandidate(candidate);
    } catch (error) {
      if (!ignoreOffer) throw error;
    }
  }
}

function begin(configuration) {
  state("connecting");
  const own = pc = new RTCPeerConnection(configuration);
  own.onicecandidate = ({ candidate }) => { if (candidate) say({ candidate }); };
  own.onnegotiationneeded = async () => {
    try {
      makingOffer = true;
      await own.setLocalDescription();
      say({ description: own.localDescription });
    } finally {
      makingOffer = false;
    }
  };
  own.onconnectionstatechange = () => {
    if (own.connectionState === "failed") own.restartIce();
  };
  own.ondatachannel = (event) => use(event.channel);
  if (!polite) use(own.createDataChannel("messages"));
}

function use(one) {
  channel = one;
  channel.onopen = () => state("connected");
  channel.onmessage = ({ data }) => {
    const line = document.createElement("li");
    line.textContent = data;
    element("messages").append(line);
  };
}

function say(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function hangUp() {
  pc?.close();
  socket?.close();
  pc = socket = channel = undefined;
  element("messages").replaceChildren();
  state("closed");
}

element("connect").onclick = connect;
element("hangup").onclick = hangUp;
element("send").onclick = () => {
  channel.send(element("message").value);
  element("message").value = "";
};
element("session").value = new URLSearchParams(location.search).get("session") ?? "";
performance.mark("console-ready");
state("ready");
