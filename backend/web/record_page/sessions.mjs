// The list of recorded sessions, and one session. The invitation is that of the tab, as the console keeps it.

const main = document.getElementById("main");
main.dataset.started = ""; // from here on, this script says what is wrong
const problem = document.getElementById("problem");
const status = document.getElementById("status");
const id = /\/sessions\/(\d+)$/.exec(location.pathname)?.[1];
const MOST_SHOWN = 500;
const DEADLINE = 30_000; // ms, for an answer to begin, and for each part of it

function invitation() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const given = fragment.get("invite");
  try {
    if (given !== null) {
      sessionStorage.setItem("ice-console-invitation", given);
      history.replaceState(null, "", location.pathname + location.search);
    }
    return given ?? sessionStorage.getItem("ice-console-invitation") ?? "";
  } catch {
    return given ?? ""; // the person lets this site store nothing
  }
}

const token = invitation();

/** What comes of a promise, or an error after the deadline. */
async function inTime(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${DEADLINE / 1000} s`)), DEADLINE);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The body of an answer, however long, as long as parts of it arrive. */
async function whole({ body, headers }) {
  const parts = [];
  const reader = body.getReader();
  try {
    for (let read = await inTime(reader.read()); !read.done; read = await inTime(reader.read())) parts.push(read.value);
  } catch (error) {
    reader.cancel().catch(() => {}); // it has failed already
    throw error;
  }
  return new Blob(parts, { type: headers.get("Content-Type") ?? "" });
}

/** Ask the server, and return its answer: the headers, and the body as a Blob. */
async function ask(query) {
  const headers = { Accept: "application/json", ...(token && { "X-Invitation": token }) };
  const limit = new AbortController();
  const options = { headers, cache: "no-store", signal: limit.signal };
  let response, body;
  try {
    response = await inTime(fetch(location.pathname + query, options));
    body = await whole(response);
  } catch (error) {
    limit.abort();
    throw new Error(`The server does not answer. Reload this page to try again. (${error.message})`);
  }
  if (response.ok) return { headers: response.headers, body };
  const problem = await body.text().then(JSON.parse).catch(() => ({}));
  throw new Error(problem.message ?? `The server answers with an error (HTTP status ${response.status}). Try again in a moment.`);
}

async function askForJson(query) {
  const { body } = await ask(query);
  return body.text().then(JSON.parse).catch(() => {
    throw new Error("Something else answers in the place of the server: a page to log in at, perhaps. Reload this page.");
  });
}

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// Made once: toLocaleString() makes another for each call, which for the log took longer than all charts.
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });
const day = (at) => DAY.format(at * 1000);
const clock = (at) => CLOCK.format(at * 1000);
const seconds = (value) => (value === null || value === undefined ? "" : `${value.toFixed(1)} s`);
const bytes = (value) => (value < 1e6 ? `${(value / 1e3).toFixed(0)} kB` : value < 1e9 ? `${(value / 1e6).toFixed(1)} MB` : `${(value / 1e9).toFixed(2)} GB`);
const total = (byHost) => Object.values(byHost).reduce((sum, one) => sum + one, 0);

const money = (value, currency) => new Intl.NumberFormat(undefined, { style: "currency", currency, minimumFractionDigits: 2, maximumFractionDigits: value < 1 ? 4 : 2 }).format(value);

function lasted(session) {
  const minutes = Math.round((session.ended - session.began) / 60);
  return minutes < 1 ? "under a minute" : minutes < 120 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}

function outages(session) {
  if (!session.outages.length) return "";
  const known = session.outages.filter((one) => one.seconds !== null).map((one) => one.seconds);
  return `${session.outages.length}${known.length ? `, longest ${seconds(Math.max(...known))}` : ""}`;
}

function say(text) {
  status.textContent = text;
  status.hidden = !text;
}

async function showing(work) {
  main.setAttribute("aria-busy", "true");
  try {
    await work();
    problem.hidden = true;
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
    say("");
  }
  main.setAttribute("aria-busy", "false");
}

// The list.

/** The columns: heading, class, and what a cell shows of a session. Phones show the heading beside each cell. */
const COLUMNS = [
  ["Session", "", (session) => element("a", { href: `sessions/${session.id}` }, session.name)],
  ["When", "", (session) => day(session.began)],
  ["Lasted", "", lasted],
  ["Who", "list", (session) => session.people.join(", ")],
  ["Outcome", "", (session) => element("span", { className: session.outcome }, session.outcome)],
  ["Connected in", "figure", (session) => seconds(session.connectSeconds)],
  ["Best path in", "figure", (session) => seconds(session.bestSeconds)],
  ["Paths", "list", (session) => session.paths.join(", ")],
  ["Outages", "", outages],
  ["Over relays", "figure", overRelays],
];

// The roles are those of a table anyway, until a style sheet lays it out as something else.

function heading([name, className]) {
  return element("th", { role: "columnheader", scope: "col", className }, name);
}

function row(session, currency) {
  const cells = COLUMNS.map(([name, className, shown]) => {
    const cell = element("td", { role: "cell", className }, shown(session, currency));
    cell.dataset.column = name;
    return cell;
  });
  return element("tr", { role: "row" }, ...cells);
}

function overRelays(session, currency) {
  const count = total(session.relayBytes);
  if (!count) return "";
  return session.cost === null ? bytes(count) : `${bytes(count)}, ${money(session.cost, currency)}`;
}

function relayed(month) {
  if (!month || !total(month.bytes)) return "";
  const hosts = Object.entries(month.bytes).map(([host, count]) => `${bytes(count)} over ${host}`);
  const sum = month.cost === null ? "" : ` That costs ${money(month.cost, month.currency)} so far.`;
  const expected = month.cost === null ? "" : `, which costs ${money(month.expected, month.currency)}`;
  return `Relayed in ${month.month} (UTC): ${hosts.join(", ")}.${sum} At this rate, it will be ${bytes(total(month.forecast))} by the end of the month${expected}.`;
}

const WHO = { you: "the person", network: "the administrator of their network", operator: "whoever runs this console" };

function report(check) {
  const problems = Array.isArray(check.report.problems) ? check.report.problems : [];
  const lines = problems.map((one) => element("li", {}, `${[one.rule, one.server].filter(Boolean).join(" at ")}: for ${WHO[one.who] ?? one.who}`));
  const facts = [day(check.at), check.session, `${check.report.verdict}`].filter(Boolean);
  return element(
    "section",
    { id: `check-${check.id}` },
    element("h2", {}, `Check ${check.id}`),
    element("p", {}, facts.join(" · ")),
    element("ul", {}, ...lines),
    element("details", {}, element("summary", {}, "The report"), element("pre", {}, JSON.stringify(check.report, null, 2))),
  );
}

async function list() {
  const search = element("input", { id: "search", type: "search", maxLength: 100, autocomplete: "off" });
  const form = element("form", { role: "search" }, element("label", { htmlFor: "search" }, "Name of a session or of a person, or the number of a check"), search);
  const body = element("tbody", { id: "sessions", role: "rowgroup" });
  const head = element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...COLUMNS.map(heading)));
  const rows = element("table", { role: "table" }, head, body);
  const table = element("div", { className: "wide", tabIndex: 0, role: "region", ariaLabel: "Recorded sessions" }, rows);
  const more = element("button", { type: "button", hidden: true }, "Older sessions");
  const month = element("p", { id: "relayed" });
  const reports = element("div", { id: "checks" });
  main.append(form, month, reports, element("section", {}, table, more));
  let asked = 0;
  const fill = (offset) =>
    showing(async () => {
      const number = ++asked;
      const query = new URLSearchParams({ q: search.value.trim(), offset });
      const found = await askForJson(`?${query}`);
      if (number !== asked) return; // the person typed on
      if (!offset) {
        body.replaceChildren();
        reports.replaceChildren(...found.checks.map(report));
      }
      body.append(...found.sessions.map((session) => row(session, found.relayed?.currency)));
      more.hidden = !found.more;
      month.textContent = relayed(found.relayed);
      say(body.children.length || reports.children.length ? "" : "Nothing is recorded under that name.");
    });
  let typing;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => fill(0), 200);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", () => fill(body.children.length));
  await fill(0);
}

// One session.

/** What the charts draw of a page's columns. Where nothing was measured for long, the lines have a gap. */
function samples({ samples: columns }) {
  const names = Object.keys(columns);
  const { at } = columns;
  const longest = Math.max(180, (3 * (at.at(-1) - at[0])) / at.length); // a page that is quiet tells once a minute
  return at.flatMap((time, place) => {
    const sample = Object.fromEntries(names.map((name) => [name, columns[name][place]]));
    for (const name of ["bits_in", "bits_out"]) sample[name] ??= 0; // an entry leaves it out
    return place && time - at[place - 1] > longest ? [{ at: at[place - 1] + 1, bits_in: null, bits_out: null }, sample] : [sample];
  });
}

/** What draws the charts: modules and style sheets. They are asked for together with the session, and not after it. */
function drawers() {
  const files = [main.dataset.charts, main.dataset.uplot];
  const arriving = Promise.all(files.map((file) => import(new URL(file, location.href)))).then(async (modules) => {
    const [drawing, plotting] = modules;
    await drawing.style(plotting);
    return modules;
  });
  arriving.catch(() => {}); // said where they are used
  return arriving;
}

/** The charts of the console, of each page load that measured something, on one time axis. */
async function charts(session, arriving) {
  const measured = session.pages.filter((page) => page.samples.at.length);
  if (!measured.length) return;
  const section = element("section", { id: "charts" }, element("h2", {}, "Charts"));
  main.querySelector("#log").before(section);
  const [drawing, plotting] = await inTime(arriving);
  const between = [session.began, Math.max(session.ended, session.began + 1)];
  for (const page of measured) {
    const place = element("div");
    section.append(element("h3", {}, page.name), place);
    const board = await drawing.open(plotting, place, { between, key: "session", of: page.name });
    board.show(samples(page), page.marks);
  }
}

/** The log. Its lines are most of the document, so they are made when somebody opens it. */
function log(session) {
  const list = element("ol");
  const left = session.log.length - MOST_SHOWN;
  const rest = left > 0 ? [element("p", {}, `${left} more are in the exports.`)] : [];
  const details = element("details", {}, element("summary", {}, `${session.log.length} entries`), list, ...rest);
  const fill = () => list.append(...session.log.slice(0, MOST_SHOWN).map(line));
  details.addEventListener("toggle", fill, { once: true });
  return element("section", { id: "log" }, element("h2", {}, "Log"), details);
}

function line([at, who, event, data, text]) {
  const detail = Object.entries(data).filter(([, value]) => value !== null && value !== "").map(([key, value]) => `${key}=${value}`);
  const said = element("span", {}, `${who} · ${text} `, element("code", {}, `${event} ${detail.join(" ")}`));
  return element("li", {}, element("time", {}, clock(at)), said);
}

async function save(format) {
  const { headers, body } = await ask(`?format=${format}`);
  const address = URL.createObjectURL(body);
  const name = /filename="([^"]+)"/.exec(headers.get("Content-Disposition") ?? "")?.[1] ?? "session";
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

async function one() {
  await showing(async () => {
    const arriving = drawers();
    const session = await askForJson("");
    document.title = `${session.name} · ICE Console`;
    document.getElementById("title").textContent = session.name;
    const back = element("p", {}, element("a", { href: "../sessions" }, "All sessions"));
    const facts = [
      `${day(session.began)}, ${lasted(session)}`,
      session.people.join(", "),
      ...Object.entries(session.relayBytes).map(([host, count]) => `${bytes(count)} over ${host}`),
      ...(session.cost === null ? [] : [`${money(session.cost, session.currency)} for relays`]),
      ...(session.leftOut ? [`${session.leftOut} entries of quiet times were left out`] : []),
    ];
    const told = session.account.map((sentence) =>
      element("li", { "data-rule": sentence.rule }, element("time", {}, clock(sentence.at)), element("span", {}, sentence.text)),
    );
    const saves = ["jsonl", "rtcstats", "webrtc-internals"].map((format) => {
      const button = element("button", { type: "button" }, format);
      button.addEventListener("click", () => showing(() => save(format)));
      return button;
    });
    main.append(
      back,
      element("section", {}, element("h2", { className: session.outcome }, session.outcome), element("p", {}, facts.join(" · ")), element("ol", { id: "account" }, ...told)),
      log(session),
      element("section", {}, element("h2", {}, "Save"), ...saves),
    );
    say("");
    await charts(session, arriving).catch(() => {
      throw new Error("The charts did not load. Reload the page to try again.");
    });
  });
}

await (id ? one() : list());
