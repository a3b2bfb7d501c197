// Put into both pages before their own scripts, the console's and the yardstick's alike: it writes numbered messages as a
// person would, through the page's own field and button, and notes when those of the other side are shown. All times are
// Unix milliseconds. A message is "who number sent-at".
//
// Of picture and sound, where there are any: when each frame was handed to the screen, as the compositor says, and how many
// had been by then, so that a page that stands still does not pass for a picture that does; and, at each message, when a
// packet of sound was last played. That of `getSynchronizationSources()` is not moved by what is made up for lost ones.
// (Silence cannot be listened for: what Chromium's microphone hears is a beep a second, and the page's CSP lets no worklet in.)

(() => {
  if (globalThis !== top) return;
  const now = () => performance.timeOrigin + performance.now();
  const later = globalThis.setTimeout.bind(globalThis);
  const UNEVEN = 300; // ms without a message, or a frame, after which it does not go evenly
  let sent, received, states, paths, generations, refused, ticks, frames, played, timer, waiting;
  let said, changed = 0;

  function forget() {
    sent = [];
    received = [];
    states = [];
    paths = [];
    generations = [];
    refused = 0;
    ticks = [];
    frames = [];
    played = [];
    waiting = [];
  }
  forget();

  function note(list, value) {
    if (value !== undefined && list.at(-1)?.[1] !== value) list.push([now(), value]);
  }

  document.addEventListener("DOMContentLoaded", () => {
    const messages = document.getElementById("messages");
    new MutationObserver((records) => {
      const at = now();
      for (const { addedNodes } of records) {
        for (const { textContent } of addedNodes) {
          const [who, number, sentAt] = textContent.split(" ");
          if (sentAt === undefined) continue;
          if (at - received.at(-1)?.[3] > UNEVEN) changed = at;
          received.push([who, Number(number), Number(sentAt), at]);
        }
      }
      waiting = waiting.filter((look) => !look());
    }).observe(messages, { childList: true });
    new MutationObserver(() => {
      note(states, document.body.dataset.state);
      note(paths, document.body.dataset.path);
      note(generations, document.body.dataset.iceGeneration);
      const { state, path, iceGeneration } = document.body.dataset;
      const says = [state, path, iceGeneration].join();
      if (says !== said) changed = now();
      said = says;
    }).observe(document.body, { attributes: true, attributeFilter: ["data-state", "data-path", "data-ice-generation"] });
    const video = document.getElementById("remote-video");
    const shown = (_, { presentationTime, presentedFrames }) => {
      const at = performance.timeOrigin + presentationTime;
      if (at - frames.at(-1)?.[0] > UNEVEN) changed = now();
      frames.push([at, presentedFrames]);
      video.requestVideoFrameCallback(shown);
    };
    video?.requestVideoFrameCallback(shown);
  });

  function listen() {
    const source = lab.receiver("audio")?.getSynchronizationSources()[0];
    if (source && source.timestamp !== played.at(-1)) played.push(source.timestamp);
  }

  async function concealed() {
    const stats = await lab.receiver("audio")?.getStats();
    const { concealedSamples, totalSamplesReceived, totalSamplesDuration } =
      [...stats?.values() ?? []].find(({ type }) => type === "inbound-rtp") ?? {};
    return totalSamplesReceived ? concealedSamples * totalSamplesDuration / totalSamplesReceived : 0;
  }

  function write(who) {
    const field = document.getElementById("message");
    const at = now();
    field.value = `${who} ${sent.length + 1} ${at.toFixed(1)}`;
    try {
      if (field.form) field.form.requestSubmit();
      else document.getElementById("send").click();
    } catch {
      // A page without a channel: the text stays in its field.
    }
    if (field.value === "") {
      sent.push(at);
    } else {
      field.value = "";
      refused += 1;
    }
  }

  // Resolves when `holds` does, looked at whenever something is shown, or after `patience` (ms); says whether it does.
  const when = (holds, patience) => new Promise((resolve) => {
    if (holds()) {
      resolve(true);
      return;
    }
    const end = later(() => resolve(holds()), patience);
    waiting.push(() => {
      if (!holds()) return false;
      clearTimeout(end);
      resolve(true);
      return true;
    });
  });

  globalThis.pump = {
    forget,

    start(who, every) {
      let next = now();
      const tick = () => {
        ticks.push(now());
        write(who);
        listen();
        // At the times that were meant, but what a stall has missed is not made up for.
        next = Math.max(next + every, now() - every);
        timer = later(tick, next - now());
      };
      tick();
    },

    stop() {
      clearTimeout(timer);
      return sent.length;
    },

    // As a person pastes and sends it; what is shown of it at the other side is no numbered message. Says whether it was taken.
    paste(length) {
      const field = document.getElementById("message");
      field.value = "paste".repeat(length / 5);
      field.form.requestSubmit();
      const taken = field.value === "";
      field.value = "";
      return taken;
    },

    // Nothing else runs for so many ms, from a moment later on.
    stall(ms) {
      later(() => {
        const end = performance.now() + ms;
        while (performance.now() < end);
      }, 1);
    },

    // Until a message is shown that was sent after `time`.
    heard: (time, patience) => when(() => received.at(-1)?.[2] > time, patience),

    // When state, path or ICE generation last changed, or a message or a frame last came late.
    changed: () => changed,

    // Until so many different ones are shown.
    complete: (count, patience) => when(() => new Set(received.map(([, number]) => number)).size >= count, patience),

    // Until there are picture and sound of after `time`.
    async shows(time, patience) {
      const end = now() + patience;
      const there = () => frames.at(-1)?.[0] > time && played.at(-1) > time;
      while (!there() && now() < end) await new Promise((resolve) => { later(resolve, 20); });
      return Boolean(there());
    },

    // What is there of the picture, for when it does not come: what is received, decoded, and shown.
    async picture() {
      const receiver = lab.receiver("video");
      const video = document.getElementById("remote-video");
      const shows = video.srcObject?.getVideoTracks().some(({ id }) => id === receiver?.track.id);
      const stats = [...(await receiver?.getStats())?.values() ?? []].find(({ type }) => type === "inbound-rtp");
      const { muted, readyState } = receiver?.track ?? {};
      return { shown: video.getVideoPlaybackQuality().totalVideoFrames, paused: video.paused, shows, muted, readyState, ...stats };
    },

    // Seconds of sound that were made up since the connection began.
    concealed,

    report: () => ({ sent, received, states, paths, generations, refused, ticks, frames, played }),
  };

  // What the page asked for of cameras and microphones, when (ms), and what came of it, after how long: for when nothing does.
  globalThis.pump.asked = [];
  const ask = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
  if (ask) {
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      const one = { wanted: Object.keys(wanted).join(), at: Math.round(performance.now()), outcome: "none", after: null };
      globalThis.pump.asked = [...globalThis.pump.asked.slice(-5), one];
      try {
        const stream = await ask(wanted);
        one.outcome = "given";
        return stream;
      } catch (error) {
        one.outcome = `${error.name}: ${error.message}`;
        throw error;
      } finally {
        one.after = Math.round(performance.now()) - one.at;
      }
    };
  }

  // A screen to share: headless Chromium asks which one, and nobody is there to choose.
  if (navigator.mediaDevices) {
    navigator.mediaDevices.getDisplayMedia = async () => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [1280, 720];
      const context = canvas.getContext("2d");
      const stream = canvas.captureStream(15);
      const [track] = stream.getTracks();
      const draw = () => {
        context.fillStyle = `hsl(${now() / 20 % 360} 50% 50%)`;
        context.fillRect(0, 0, 1280, 720);
        if (track.readyState === "live") later(draw, 66);
      };
      draw();
      return stream;
    };
  }

  // A hidden tab as Chromium has it: it says so, and its timers fire once a second, all together. (Headless Chromium stays
  // visible whatever is done; the pump goes on as it was.)
  let hidden = false;
  for (const [name, value] of [["hidden", () => hidden], ["visibilityState", () => (hidden ? "hidden" : "visible")]]) {
    Object.defineProperty(document, name, { configurable: true, get: value });
  }
  globalThis.setTimeout = (callback, delay = 0, ...rest) => {
    if (!hidden) return later(callback, delay, ...rest);
    const due = performance.now() + delay;
    return later(callback, Math.ceil(due / 1000) * 1000 - performance.now(), ...rest);
  };
  globalThis.pump.hide = (value) => {
    hidden = value;
    document.dispatchEvent(new Event("visibilitychange"));
  };
})();
