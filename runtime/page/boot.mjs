// Loads PyScript, and controls the page until Python can.
//
// 1. Says in words how far loading is, and, if it cannot go on, why and what to do.
// 2. Keeps a click on Connect that comes too early, as `data-pending-connect` on <html>; pyapp/browser/page/ reads it.
// 3. Asks the server for what Python will ask for first, and makes the connection that it will need first;
//    pyapp/browser/signaling.py and pyapp/browser/constructor.py take them over.
//
// Loading is over when Python dispatches `console-ready`, with its performance mark. From then on this script shows only a crash of
// the Python program itself, because nothing else is left to show it.

const { body, documentElement: root } = document;
const byId = (id) => document.getElementById(id);
const { interpreter, runtime } = JSON.parse(document.querySelector('script[type="py"]').getAttribute("config"));

// The bar is full when the console is ready; all that is downloaded is this much of it.
const DOWNLOADED = 0.8;
const PAINTED_BY = 1000; // ms
const FRESH_FOR = 10_000; // ms
const STALLED_AFTER = 20_000; // ms
const DEADLINE = 12_000; // ms, as in pyapp/browser/signaling.py

let settled = false; // ready, or failed for good
body.dataset.boot = "loading"; // without it, the style sheet says after a while that this script has not arrived

function showProgress(part, text) {
  byId("boot-progress").value = part;
  byId("detail").textContent = text;
}

let received = 0; // bytes, of files that are complete

function showDownload(bytes) {
  received += bytes;
  const megabytes = (count) => (count / 1e6).toFixed(1);
  const part = Math.min(received / runtime.bytes, 1);
  const complete = received >= runtime.bytes;
  const text = `Loading: ${megabytes(Math.min(received, runtime.bytes))} of ${megabytes(runtime.bytes)} MB`;
  showProgress(part * DOWNLOADED, complete ? "Starting Python…" : text);
}

function fail(headline, detail, cause) {
  if (body.dataset.boot === "failed") return; // only the first cause is shown
  settled = true;
  body.dataset.boot = "failed";
  body.dataset.state = "failed";
  delete root.dataset.pendingConnect;
  byId("status").dataset.level = "bad";
  byId("headline").textContent = headline;
  byId("detail").textContent = detail;
  byId("cause").textContent = cause;
  byId("cause-box").hidden = false;
  byId("connect").disabled = true;
}

const failedToLoad = (cause) =>
  fail(
    "The page could not load",
    "Part of it did not arrive, or was blocked on the way. Reload; if it stays, try another network or browser.",
    String(cause?.message ?? cause),
  );

const crashed = (cause) =>
  fail(
    "The console stopped working",
    "This is a fault of the page. Reload to go on; the technical cause helps whoever looks into it.",
    String(cause?.message ?? cause),
  );

/** What this browser refuses, in words for the person; or null. */
function refusal() {
  try {
    new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0)); // the smallest valid module
  } catch (error) {
    return [
      "This browser blocks WebAssembly",
      "Switch off its strictest protection (Lockdown Mode, for one) for this page, or use another browser.",
      String(error),
    ];
  }
  if (typeof RTCPeerConnection !== "function") {
    return [
      "This browser blocks calls",
      "WebRTC is switched off by a setting, an extension or your organisation. Use another browser.",
      "RTCPeerConnection is not available",
    ];
  }
  return null;
}

// A form must never navigate away, neither before Python runs nor afterwards.
addEventListener("submit", (event) => {
  event.preventDefault();
  if (settled || event.target.id !== "join") return;
  root.dataset.pendingConnect = "";
  byId("connect-label").textContent = "Connecting once ready…";
});

byId("reload").addEventListener("click", () => location.reload());

// Not the mark of the same name: a busy browser tells of marks late, and Playwright's clock, once installed, of none.
addEventListener("console-ready", () => {
  settled = true;
  rememberStart();
  body.dataset.boot = "ready";
}, { once: true });

addEventListener("py:progress", ({ detail }) => {
  if (!settled && detail === "Loaded Pyodide") showProgress(0.9, "Starting the console…");
});

const whileLoading = (handler) => (event) => {
  if (!settled) handler(event);
};

// Errors of extensions, and of scripts that a network inserts, appear in the same window. Only our own files count.
const OWN = new URL("assets/", location.href).href;
const isOurs = (text) => String(text ?? "").includes(OWN);

addEventListener(
  "unhandledrejection",
  whileLoading(({ reason }) => isOurs(reason?.stack) && failedToLoad(reason)),
);
addEventListener(
  "error",
  whileLoading(({ error, filename, message }) => (isOurs(filename) || isOurs(error?.stack)) && failedToLoad(error ?? message)),
);
addEventListener(
  "securitypolicyviolation",
  whileLoading(({ violatedDirective, blockedURI, sourceFile }) => {
    if (isOurs(blockedURI) || isOurs(sourceFile)) failedToLoad(`${violatedDirective} blocked ${blockedURI}`);
  }),
);

/** The address of a file that the page is made of. The page may live under any path. */
const asset = (group, file) => new URL(`assets/${runtime.groups[group]}/${file}`, location.href);
const ASSETS = new URL("assets/", location.href).pathname;

// What must arrive before Python runs, and has not yet.
const LARGE = [["pyodide", "pyodide.asm.wasm"], ["library", "library.zip"], ["console", "console.marshal"]];
const awaited = new Set([...runtime.preload, ...LARGE].map(([group, file]) => asset(group, file).pathname));

/** Name what is still missing. The progress of a single file is unknown, so it may only be slow: loading goes on. */
function nameTheMissing() {
  const names = [...awaited].map((path) => path.split("/").at(-1));
  if (!settled && names.length) byId("detail").textContent = `Still waiting for ${names.join(", ")}`;
}

let patience = setTimeout(nameTheMissing, STALLED_AFTER);

function hasArrived(path) {
  awaited.delete(path);
  clearTimeout(patience);
  patience = setTimeout(nameTheMissing, STALLED_AFTER);
}

// Files that arrive move the bar. Pyodide would wait forever for one that failed, never came, or was replaced by the
// log-in page of a hotel's network.
new PerformanceObserver((list, observer) => {
  if (settled) observer.disconnect();
  for (const { name, responseStatus, contentType, encodedBodySize } of list.getEntries()) {
    const path = new URL(name).pathname;
    if (settled || !path.startsWith(ASSETS)) continue;
    hasArrived(path);
    const missing = responseStatus >= 400 || (responseStatus === 0 && encodedBodySize === 0);
    if (!missing && contentType !== "text/html") showDownload(encodedBodySize);
    else failedToLoad(`${name}: ${responseStatus ? `HTTP status ${responseStatus}, ${contentType || "no type"}` : "no answer"}`);
  }
}).observe({ type: "resource", buffered: true });

// PyScript reports an invalid configuration in its own box at the end of <body>. The message belongs in the status.
new MutationObserver((records, observer) => {
  if (settled) observer.disconnect();
  for (const box of records.flatMap(({ addedNodes }) => [...addedNodes])) {
    if (!box.classList?.contains("py-error")) continue;
    box.remove();
    failedToLoad(box.textContent);
  }
}).observe(body, { childList: true });

/** Resolves once the page is on the screen, or at once if it is in a background tab, where nothing is painted. */
const firstPaint = () =>
  new Promise((resolve) => {
    if (document.hidden) return resolve();
    new PerformanceObserver(resolve).observe({ type: "paint", buffered: true });
    setTimeout(resolve, PAINTED_BY); // it went into the background meanwhile
  });

/** Resolves when the first frame is about to be painted. */
const firstFrame = () =>
  new Promise((resolve) => {
    if (document.hidden) return resolve();
    requestAnimationFrame(() => setTimeout(resolve));
    setTimeout(resolve, PAINTED_BY);
  });

// A browser that has started this runtime before has it in its cache: nothing large must be loaded.
const STARTED = "ice-console-runtime";
const name = Object.values(runtime.groups).join(" ");

function hasStartedBefore() {
  try {
    return localStorage.getItem(STARTED) === name;
  } catch {
    return false; // this site may not store anything
  }
}

function rememberStart() {
  try {
    localStorage.setItem(STARTED, name);
  } catch {
    // As above: then each visit waits for its first paint.
  }
}

/**
 * The invitation in the address. It is kept for this tab and taken out of the address bar, so that a copied address
 * gives nothing away. pyapp/browser/page/address.py reads `invitation`.
 */
function takeInvitation() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const given = fragment.get("invite");
  try {
    if (given) {
      sessionStorage.setItem("ice-console-invitation", given);
      fragment.delete("invite");
      const rest = `${fragment}` && `#${fragment}`;
      history.replaceState(history.state, "", `${location.pathname}${location.search}${rest}`);
    }
    return given ?? sessionStorage.getItem("ice-console-invitation") ?? "";
  } catch {
    return given ?? ""; // this site may not store anything: it stays in the address
  }
}

globalThis.invitation = takeInvitation();
// Another link, opened in this tab, changes the fragment alone.
addEventListener("hashchange", () => {
  if (!new URLSearchParams(location.hash.slice(1)).has("invite")) return;
  globalThis.invitation = takeInvitation();
  if (globalThis.early) askEarly(); // until Python has taken it over, it has been asked with the one before
  dispatchEvent(new Event("invitation"));
});

/** Ask the other tabs which sessions they are in. pyapp/browser/tabs.py takes over, and has what was `heard` by then. */
function askTabs() {
  const channel = new BroadcastChannel(`ice-console ${location.pathname}`);
  channel.heard = [];
  channel.addEventListener("message", ({ data }) => settled || channel.heard.push(data));
  channel.postMessage({ kind: "who" });
  return channel;
}

globalThis.tabs = globalThis.BroadcastChannel && askTabs();

// Limits of what can be sent at all, as in pyapp/protocol; Python says what is wrong with anything else.
const MOST_SESSION = 64;
const INVITATION = /^[\w.-]{1,4096}$/;

/** Ask for the ICE configuration of the session that the address names, and open the signaling socket. */
function askEarly() {
  const session = new URLSearchParams(location.search).get("session");
  if (!session || session.length > MOST_SESSION) return;
  const headers = INVITATION.test(invitation) ? { "X-Invitation": invitation } : {};
  const url = `ice?session=${encodeURIComponent(session)}`;
  const ask = () => fetch(url, { headers, cache: "no-store", signal: AbortSignal.timeout(DEADLINE) });
  const asked = performance.now();
  let answer = ask();
  let socket = new WebSocket(new URL("ws", location.href).href.replace(/^http/, "ws"));
  answer.catch(() => {}); // whoever takes it handles the error
  globalThis.early = {
    /** The answer to `wanted`, once, if it is still fresh: it says how long it is valid. */
    answer(wanted) {
      const [taken, fresh] = [answer, performance.now() - asked < FRESH_FOR];
      answer = undefined;
      return wanted === url && fresh ? taken?.catch(ask) : undefined;
    },
    /** The socket, once, unless it has closed. Whoever takes an open one gets its `open` event again. */
    socket() {
      const taken = socket;
      socket = undefined;
      if (taken?.readyState === WebSocket.OPEN) setTimeout(() => taken.dispatchEvent(new Event("open")));
      return taken?.readyState <= WebSocket.OPEN ? taken : undefined;
    },
  };
}

/**
 * Make the first `RTCPeerConnection` while Python loads: the browser's first takes as long as all that Python does
 * between a click and the answer. Without a description it opens no socket, and asks no server. In Chromium it belongs
 * to a frame; pyapp/browser/constructor.py says why. The frame stays: what it made would die with it.
 */
function prepareConnection() {
  let owner = globalThis;
  const isChromium = navigator.userAgent.includes("Chrome/");
  if (isChromium) {
    const frame = document.createElement("iframe");
    body.append(Object.assign(frame, { allow: "camera 'none'; microphone 'none'", hidden: true, title: "Network" }));
    // Extensions against leaks of addresses remove WebRTC from frames, some only there.
    if (typeof frame.contentWindow?.RTCPeerConnection === "function") owner = frame.contentWindow;
  }
  globalThis.webrtc = { owner, isChromium };
  try {
    // As in pyapp/protocol/ice.py: all else can be set later.
    webrtc.first = new owner.RTCPeerConnection({ bundlePolicy: "max-bundle" });
  } catch {
    // Python tries again with Connect, and says what is wrong.
  }
}

async function load() {
  // The page is visible before anything large is requested.
  await (hasStartedBefore() ? firstFrame() : firstPaint());
  const refused = refusal();
  if (refused) return fail(...refused);
  askEarly();
  for (const [group, file] of runtime.preload) {
    document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href: asset(group, file).href }));
  }
  const parts = Promise.all([import(asset("pyscript", "core.js")), import(new URL(interpreter, location.href))]);
  prepareConnection();
  const [{ hooks }] = await parts;
  // Its default hook for workers is made with Function(), which the page's Content-Security-Policy refuses.
  hooks.worker.onBeforeRunAsync.clear();
  // PyScript only prints what stopped the Python program, or kept it from starting.
  hooks.main.onReady.add(({ io }) => {
    const { stderr } = io;
    io.stderr = (line, ...rest) => {
      if (line instanceof Error) (line.name === "PythonError" ? crashed : failedToLoad)(line);
      return stderr(line, ...rest);
    };
  });
}

load().catch(failedToLoad);
