// The charts of a connection: what was measured over time, and what happened meanwhile. Loaded when somebody looks.
//
// The page's Python drives it with samples as they come (pyapp/browser/page/insight.py); /sessions gives it all of them
// at once (backend/web/record_page/sessions.mjs). A sample is an object with the fields of pyapp/protocol/sample.py and
// `at`, Unix time in seconds; a mark is { at, kind }. uPlot comes from the group `uplot`, which is as installed.

const SECONDS = { shortest: 60, longest: 600 };
const HEIGHT = 120;

const milliseconds = (value) => `${value > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
const percent = (value) => `${value > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} %`;
const frames = (value) => `${Math.round(value)} fps`;
const bitrate = (value) => (value >= 1e6 ? `${(value / 1e6).toFixed(1)} Mbit/s` : `${Math.round(value / 1e3)} kbit/s`);
const short = (value) => (value >= 1e6 ? `${+(value / 1e6).toFixed(1)}M` : value >= 1e3 ? `${+(value / 1e3).toFixed(1)}k` : value);

const both = (of, scale = (value) => value) => [
  { label: "received", of: (one) => scale(one[`${of}_in`]), colour: "--accent" },
  { label: "sent", of: (one) => scale(one[`${of}_out`]), colour: "--relay", dash: [5, 4] },
];
const hundredfold = (value) => (value == null ? null : value * 100);

/** What is drawn: a title, the line that explains it, how a value is written, the least top of the scale, and the series. */
export const CHARTS = [
  {
    title: "Round trip",
    text: "How long a packet takes there and back. Under 150 ms feels immediate.",
    write: milliseconds,
    least: 50,
    series: [{ label: "", of: (one) => one.round_trip_ms, colour: "--accent" }],
  },
  {
    title: "Jitter",
    text: "How unevenly packets arrive. Sound and video wait that much longer to play smoothly.",
    write: milliseconds,
    least: 20,
    series: [{ label: "", of: (one) => one.jitter_ms, colour: "--accent" }],
  },
  {
    title: "Loss",
    text: "Packets that never arrived. Above 3 % it can be seen and heard.",
    write: percent,
    least: 5,
    series: both("loss", hundredfold),
  },
  {
    title: "Bitrate",
    text: "Everything that goes over this connection: video, sound, messages.",
    write: bitrate,
    least: 100_000,
    series: both("bits", (value) => (value === undefined ? 0 : value)),
  },
  {
    title: "Frame rate",
    text: "Pictures a second. Too few look jerky; a still screen needs few.",
    write: frames,
    least: 30,
    series: both("frames"),
  },
  {
    title: "Freezes",
    text: "How long the received video stood still.",
    write: milliseconds,
    least: 500,
    series: [{ label: "", of: (one) => (one.frames_in == null ? null : (one.frozen_ms ?? 0)), colour: "--bad" }],
  },
  {
    title: "Room to send",
    text: "What the browser believes this path can carry from you. It learns it while it sends video.",
    write: bitrate,
    least: 500_000,
    series: [{ label: "", of: (one) => one.available, colour: "--accent" }],
  },
];

/** What is marked on the time axis: by kind, the word for it and the colour. */
export const MARKS = {
  path: { label: "new path", colour: "--good" },
  suspect: { label: "interrupted", colour: "--bad" },
  restart: { label: "ICE restart", colour: "--relay" },
  recovered: { label: "works again", colour: "--good" },
  network: { label: "network changed", colour: "--fair" },
  slept: { label: "machine slept", colour: "--fair" },
};

/**
 * Draw the charts into an element, once their style sheets are there; `plotting` is the module uplot.mjs.
 * What is older than `seconds` before the last sample is not shown; or with `between`, the times [from, to] are shown
 * whatever there is. Boards with one `key` have one cursor. `of` is who measured it.
 */
export async function open(plotting, element, { seconds = SECONDS.longest, between = null, key = `charts ${Math.random()}`, of = "" } = {}) {
  await style(plotting);
  element.classList.add("charts");
  return new Board(plotting.default, element, { seconds, between, key, of });
}

/** Ask for the style sheets, before there is anything to draw, and resolve once they are there. */
export function style(plotting) {
  return Promise.all([plotting.stylesheet, new URL("charts.css", import.meta.url).href].map(styled));
}

const sheets = new Map();
const STYLED_BY = 20_000; // ms

/** Resolves once a style sheet is there; each is asked for once, and again after it did not come. */
function styled(href) {
  if (!sheets.has(href)) {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href });
    const arrived = new Promise((resolve, reject) => {
      const failed = () => {
        sheets.delete(href);
        link.remove();
        reject(new Error(`${href} has not arrived`));
      };
      const timer = setTimeout(failed, STYLED_BY);
      link.addEventListener("error", failed);
      link.addEventListener("load", () => {
        clearTimeout(timer);
        resolve();
      });
    });
    sheets.set(href, arrived);
    document.head.append(link);
  }
  return sheets.get(href);
}

class Board {
  #seconds;
  #between;
  #samples = [];
  #marks = [];
  #charts;
  #colours = {};
  #listening = new AbortController();
  #resized;
  #frame = 0;
  #read; // the time of the values that the keyboard reads, if it does
  #said = Object.assign(document.createElement("p"), { className: "unseen", role: "status" });

  constructor(uPlot, element, { seconds, between, key, of }) {
    this.#seconds = seconds;
    this.#between = between;
    this.#readColours();
    const sync = uPlot.sync(key);
    this.#charts = CHARTS.map((chart) => this.#figure(uPlot, element, chart, sync));
    element.append(legend(), this.#said);
    this.#takeKeys(element, of ? `Charts of ${of}` : "Charts");
    this.#resized = new ResizeObserver(() => {
      for (const { plot, place } of this.#charts) {
        if (place.clientWidth && place.clientWidth !== plot.width) plot.setSize({ width: place.clientWidth, height: HEIGHT });
      }
    });
    for (const { place } of this.#charts) this.#resized.observe(place);
    const recolour = () => {
      this.#readColours();
      for (const { plot } of this.#charts) plot.redraw(false);
    };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour, { signal: this.#listening.signal });
  }

  /** Let the keyboard do what the pointer can: read the values of another time, in all charts. */
  #takeKeys(element, name) {
    element.tabIndex = 0;
    element.role = "group";
    element.ariaLabel = `${name}. The left and right arrow keys read the values of another time.`;
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
    const { signal } = this.#listening;
    element.addEventListener("blur", () => this.#readAt(undefined), { signal });
    element.addEventListener(
      "keydown",
      (event) => {
        const step = steps[event.key];
        if (!step || event.altKey || event.ctrlKey || event.metaKey || !this.#samples.length) return;
        event.preventDefault();
        const last = this.#samples.length - 1;
        const now = this.#read === undefined ? last : this.#samples.findLastIndex(({ at }) => at <= this.#read);
        this.#readAt(this.#samples[Math.min(Math.max(now + step, 0), last)].at);
        const values = this.#charts.map(({ chart, values }) => `${chart.title} ${values.textContent}`);
        this.#said.textContent = [clock(null, [this.#read], 0, 0, 1)[0], ...values].join(", ");
      },
      { signal },
    );
  }

  #readAt(time) {
    this.#read = time;
    this.#said.textContent = "";
    this.#placeCursors();
  }

  #placeCursors() {
    for (const { plot } of this.#charts) {
      const left = this.#read === undefined ? -10 : plot.valToPos(this.#read, "x");
      plot.setCursor({ left, top: left < 0 ? -10 : 0 });
    }
  }

  /** Show these samples and marks in the place of all before. */
  show(samples, marks) {
    this.#samples = samples;
    this.#marks = marks;
    this.#draw();
  }

  /** Add what is new: arrays, or their JSON. */
  add(samples, marks) {
    const given = (value) => (typeof value === "string" ? JSON.parse(value) : value);
    this.#samples.push(...given(samples));
    this.#marks.push(...given(marks));
    const oldest = (this.#samples.at(-1)?.at ?? 0) - this.#seconds;
    while (this.#samples.length && this.#samples[0].at < oldest) this.#samples.shift();
    while (this.#marks.length && this.#marks[0].at < oldest) this.#marks.shift();
    this.#draw();
  }

  close() {
    this.#listening.abort();
    this.#resized.disconnect();
    cancelAnimationFrame(this.#frame);
    for (const { plot, figure } of this.#charts) {
      plot.destroy();
      figure.remove();
    }
  }

  #readColours() {
    const style = getComputedStyle(document.documentElement);
    const names = ["--line", "--muted", "--accent", "--relay", "--good", "--bad", "--fair"];
    this.#colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(name).trim()]));
  }

  /** Draw in the next frame: not in the middle of what else follows from a sample, and not while nobody can see it. */
  #draw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#drawNow();
    });
  }

  #drawNow() {
    const times = this.#samples.map(({ at }) => at);
    const last = times.at(-1) ?? 0;
    const span = Math.min(Math.max(last - (times[0] ?? last), SECONDS.shortest), this.#seconds);
    const [min, max] = this.#between ?? [last - span, last];
    for (const { chart, plot, values } of this.#charts) {
      const columns = chart.series.map(({ of }) => this.#samples.map((one) => of(one) ?? null));
      plot.batch(() => {
        plot.setData([times, ...columns], false);
        plot.setScale("x", { min, max });
        const most = Math.max(chart.least, ...columns.flat());
        plot.setScale("y", { min: 0, max: most * 1.05 });
      });
      if (plot.cursor.idx == null) write(chart, values, columns.map((column) => column.at(-1) ?? null));
    }
    if (this.#read !== undefined) this.#placeCursors();
  }

  #figure(uPlot, element, chart, sync) {
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const [title, values, text] = ["h4", "p", "p"].map((name) => document.createElement(name));
    title.textContent = chart.title;
    values.className = "chart-values";
    text.className = "hint";
    text.textContent = chart.text;
    const place = document.createElement("div");
    place.className = "chart-plot";
    place.setAttribute("aria-hidden", "true"); // its latest values are in the caption
    caption.append(title, values);
    figure.append(caption, place, text);
    element.append(figure);
    write(chart, values, chart.series.map(() => null));
    const colour = (name) => () => this.#colours[name];
    const axis = { stroke: colour("--muted"), font: "11px system-ui, sans-serif", ticks: { show: false } };
    const grid = { stroke: colour("--line"), width: 1 };
    const plot = new uPlot(
      {
        width: place.clientWidth || 280,
        height: HEIGHT,
        padding: [6, 16, 0, 0], // the last time of day on the axis is half as wide
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, sync: { key: sync.key }, points: { size: 6 } },
        scales: { x: { time: true }, y: { auto: false } },
        axes: [
          { ...axis, size: 24, gap: 6, space: 70, grid: { show: false }, values: clock },
          { ...axis, size: 40, gap: 4, space: 32, grid, values: (_, splits) => splits.map(short) },
        ],
        series: [
          {},
          ...chart.series.map(({ label, colour: name, dash }) => ({
            label,
            stroke: colour(name),
            width: 1.75,
            dash,
            points: { show: false },
          })),
        ],
        hooks: {
          drawClear: [(drawn) => this.#drawMarks(drawn)],
          setCursor: [
            ({ cursor: { idx }, data }) => {
              const at = idx ?? data[0].length - 1;
              write(chart, values, data.slice(1).map((column) => column[at] ?? null));
            },
          ],
        },
      },
      [[], ...chart.series.map(() => [])],
      place,
    );
    return { chart, plot, values, place, figure };
  }

  #drawMarks(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.lineWidth = devicePixelRatio;
    for (const { at, kind } of this.#marks) {
      const x = Math.round(plot.valToPos(at, "x", true));
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.strokeStyle = this.#colours[MARKS[kind]?.colour ?? "--muted"];
      ctx.setLineDash(kind === "suspect" ? [] : [3 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }
}

/** Write the values of all series, with the line that belongs to each where there are two. */
function write(chart, place, values) {
  const parts = chart.series.map(({ label }, number) => {
    const text = values[number] == null ? "–" : chart.write(values[number]);
    return label ? `${text} ${label}` : text;
  });
  const text = parts.join(" · ");
  if (place.textContent === text) return;
  place.replaceChildren(
    ...chart.series.map(({ colour, dash }, number) => {
      const part = document.createElement("span");
      part.textContent = `${number ? " · " : ""}${parts[number]}`;
      if (chart.series.length > 1) {
        part.className = dash ? "dashed" : "solid";
        part.style.setProperty("--series", `var(${colour})`);
      }
      return part;
    }),
  );
}

function legend() {
  const figure = document.createElement("figure");
  const title = document.createElement("h4");
  const list = document.createElement("ul");
  figure.className = "chart-marks";
  title.textContent = "Lines across the charts";
  for (const [kind, { label, colour }] of Object.entries(MARKS)) {
    const item = document.createElement("li");
    item.textContent = label;
    item.className = kind === "suspect" ? "solid" : "dashed";
    item.style.setProperty("--series", `var(${colour})`);
    list.append(item);
  }
  figure.append(title, list);
  return figure;
}

// It takes longer to make a formatter than to write all labels of all charts.
const minutes = { hour: "2-digit", minute: "2-digit", hour12: false };
const [toTheMinute, toTheSecond] = [minutes, { ...minutes, second: "2-digit" }].map((one) => new Intl.DateTimeFormat([], one));

/** Times of day, to the second where the ticks are close. */
function clock(_, splits, _axis, _space, increment) {
  const { format } = increment < 60 ? toTheSecond : toTheMinute;
  return splits.map((seconds) => format(seconds * 1000));
}
