// Prepares the runtime that the page loads: `node runtime/build/build.mjs`, or `make build`. docs/boot.md says what and why.
//
// Input: Pyodide and PyScript as installed, what runtime/sources.json names, and index.html. Output, in build/assets: groups
// of files, precompressed, each in a folder named after the group and a hash of its content; and manifest.json, which says
// which groups belong together. Folders of earlier builds stay for a week: a page loaded before a deploy may still ask for them.

import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import zlib from "node:zlib";
import { tidy } from "./tidy.mjs";

const read = (...parts) => fs.readFileSync(path.join(...parts));

const ROOT = path.join(path.dirname(fileURLToPath(import.meta.url)), "..", "..");
const ASSETS = path.join(ROOT, "build", "assets");
const BUILD = path.join(ROOT, "runtime", "build");
const SOURCES = JSON.parse(read(ROOT, "runtime", "sources.json")); // by group and folder: which files belong to it
const DOCUMENT = path.join("..", "..", "backend", "web", "document.py"); // from BUILD
const PYODIDE = path.join(ROOT, "node_modules", "pyodide");
const UPLOT = path.join(ROOT, "node_modules", "uplot", "dist");
const PYSCRIPT = path.join(ROOT, "node_modules", "@pyscript", "core", "dist");
const TOO_SMALL_TO_COMPRESS = 256;
const LATER = new Set(["modules", "qr", "charts", "uplot"]); // fetched when they are needed, if ever

/** The files under `folder` whose names match, as [path with slashes, content], in the order of their paths. */
function files(folder, pattern) {
  return fs
    .readdirSync(folder, { recursive: true })
    .map((name) => name.split(path.sep).join("/"))
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => [name, read(folder, name)]);
}

/** The files of a group of our own sources. No two folders of a group have a file of the same name. */
function sources(group) {
  return Object.entries(SOURCES[group]).flatMap(([folder, pattern]) => files(path.join(ROOT, folder), new RegExp(pattern)));
}

/** The hash of a set of files. backend/web/assets.py computes the same one, to see whether the sources have changed since. */
function digest(entries) {
  const hash = createHash("sha256");
  for (const [name, content] of entries) hash.update(`${name}\0${content.length}\0`).update(content);
  return hash.digest("hex").slice(0, 16);
}

const brotli = promisify(zlib.brotliCompress);
const gzip = promisify(zlib.gzip);

/** Write a group into a folder of its own, if it is not there already, and return the folder's name. */
async function group(name, entries, { compress = true } = {}) {
  // The same content, compressed in another way or under other names, has another folder.
  const folder = `${name}-${digest([...entries, ...(compress ? [["compressed", "brotli, gzip"]] : [])])}`;
  const target = path.join(ASSETS, folder);
  if (fs.existsSync(target)) {
    fs.utimesSync(target, new Date(), new Date()); // in use: tidy.mjs keeps it
    return folder;
  }
  fs.mkdirSync(ASSETS, { recursive: true });
  const unfinished = fs.mkdtempSync(path.join(ASSETS, ".new-"));
  const write = async (file, content) => {
    fs.writeFileSync(path.join(unfinished, file), content);
    if (!compress || content.length < TOO_SMALL_TO_COMPRESS || file.endsWith(".png")) return;
    const params = { [zlib.constants.BROTLI_PARAM_LGWIN]: 24, [zlib.constants.BROTLI_PARAM_SIZE_HINT]: content.length };
    // backend/web/assets.py chooses among these; under .br and .gz, aiohttp would choose, and send them to clients that do not accept them.
    fs.writeFileSync(path.join(unfinished, `${file}.brotli`), await brotli(content, { params }));
    fs.writeFileSync(path.join(unfinished, `${file}.gzip`), await gzip(content, { level: 9 }));
  };
  await Promise.all(entries.map(([file, content]) => write(file, content)));
  fs.chmodSync(unfinished, 0o755);
  try {
    fs.renameSync(unfinished, target);
  } catch (error) {
    if (!fs.existsSync(target)) throw error;
    fs.rmSync(unfinished, { recursive: true }); // another build finished first
  }
  return folder;
}

/** Start Pyodide, with modules of ours to import first, and return it with a function that calls a function of a Python file. */
async function python(file, first = {}) {
  const { loadPyodide } = await import(path.join(PYODIDE, "pyodide.mjs"));
  const interpreter = await loadPyodide({
    // Without column numbers, which only underline parts of lines in tracebacks, the compiled code is a fifth smaller.
    env: { PYTHONNODEBUGRANGES: "1", PYTHONPATH: "/first" },
    fsInit(FS) {
      FS.mkdirTree("/first");
      for (const [name, source] of Object.entries(first)) FS.writeFile(`/first/${name}`, read(BUILD, source));
      for (const [name, content] of sources("console")) {
        FS.mkdirTree(path.posix.dirname(`/app/pyapp/${name}`));
        FS.writeFile(`/app/pyapp/${name}`, content);
      }
    },
  });
  const names = interpreter.runPython("{}");
  await interpreter.runPythonAsync(read(BUILD, file).toString(), { globals: names, filename: file });
  return { FS: interpreter.FS, call: async (name, ...given) => names.get(name)(...given.map((value) => interpreter.toPy(value))) };
}

/** The library, trimmed and whole, and the console, all compiled by the Python that will run them. */
async function compile() {
  const prepare = await python("prepare.py");
  const discover = await python("discover.py", { "sitecustomize.py": "record.py", "package_loader.py": "package_loader.py" });
  const imports = (await prepare.call("library_imports", "/app")).toJs();
  const own = (await prepare.call("own_modules", "/app")).toJs();
  const { FS } = prepare;
  FS.mkdirTree("/in/runtime");
  FS.writeFile("/in/stock.zip", read(PYODIDE, "python_stdlib.zip"));
  for (const [name, content] of files(BUILD, /\.py$/)) FS.writeFile(`/in/runtime/${name}`, content);
  FS.writeFile("/in/discovered", (await discover.call("discover", imports, "/app", own)).toJs());
  await prepare.call("prepare", "/in/stock.zip", "/app", "/in/runtime", "/in/discovered", "/out");
  const made = (name) => [path.posix.basename(name), Buffer.from(FS.readFile(name))];
  const whole = FS.readdir("/out/modules").filter((name) => name.endsWith(".marshal"));
  return {
    library: [made("/out/library.zip")],
    console: [made("/out/console.marshal")],
    modules: whole.sort().map((name) => made(`/out/modules/${name}`)),
  };
}

/** uPlot: its small build, which is no module by itself, and its style sheet. */
function uplot() {
  const exported = '\nexport default uPlot;\nexport const stylesheet = new URL("uplot.css", import.meta.url).href;\n';
  const script = Buffer.concat([read(UPLOT, "uPlot.iife.min.js"), Buffer.from(exported)]);
  return [
    ["uplot.mjs", script],
    ["uplot.css", read(UPLOT, "uPlot.min.css")],
  ];
}

/** Make Chromium compile the whole script in the background while it arrives, not each function at its first call. */
const compiledAhead = (script) => Buffer.concat([Buffer.from("//# allFunctionsCalledOnLoad\n"), script]);

/** The page as backend/web/assets.py builds it, as long as no source is newer. */
async function document(template, manifest) {
  const { call } = await python(DOCUMENT);
  const made = await call("render", template.toString(), manifest);
  return group("document", [["page", Buffer.from(made.toJs())]]);
}

async function build() {
  const installed = read(ROOT, "package-lock.json");
  const own = files(BUILD, /\.(py|mjs)$/);
  const page = sources("page");
  const template = read(ROOT, "index.html");
  const digests = { page: digest(page), charts: digest(sources("charts")), console: digest(sources("console")) };
  const inputs = digest([
    ["package-lock.json", installed],
    ...own,
    ["page", digests.page],
    ["console", digests.console],
    ["charts", digests.charts],
    ["sources.json", read(ROOT, "runtime", "sources.json")],
    ["index.html", template],
    ["document.py", read(BUILD, DOCUMENT)],
  ]);
  const manifestFile = path.join(ASSETS, "manifest.json");
  if (fs.existsSync(manifestFile)) {
    const manifest = JSON.parse(fs.readFileSync(manifestFile));
    const complete = [...Object.values(manifest.groups), manifest.document].every((name) => name && fs.existsSync(path.join(ASSETS, name)));
    if (manifest.inputs === inputs && complete) return console.log("The prepared runtime is up to date.");
  }
  console.log("Preparing the runtime (the first time takes a minute, most of it compressing)…");
  const compiled = await compile();
  const groups = {
    pyodide: await group("pyodide", [
      ["pyodide.asm.mjs", compiledAhead(read(PYODIDE, "pyodide.asm.mjs"))],
      ...["pyodide.asm.wasm", "pyodide.mjs"].map((name) => [name, read(PYODIDE, name)]),
    ]),
    pyscript: await group("pyscript", files(PYSCRIPT, /^(core|error).*\.js$/).map(([name, content]) => [name, compiledAhead(content)])),
    page: await group("page", page),
    qr: await group("qr", [["qrcode.mjs", read(ROOT, "node_modules", "qrcode-generator", "dist", "qrcode.mjs")]]),
    charts: await group("charts", sources("charts")),
    uplot: await group("uplot", uplot()),
    library: await group("library", compiled.library),
    console: await group("console", compiled.console),
    modules: await group("modules", compiled.modules, { compress: false }),
  };
  const downloaded = Object.entries(groups).filter(([name]) => !LATER.has(name)).map(([, folder]) => folder);
  const bytes = downloaded.flatMap((folder) => files(path.join(ASSETS, folder), /\.brotli$/)).reduce((sum, [, { length }]) => sum + length, 0);
  const core = files(PYSCRIPT, /^(core|error)-.*\.js$/).map(([name]) => ["pyscript", name]);
  const preload = [
    ["page", "interpreter.mjs"],
    ["page", "stats.mjs"],
    ["pyodide", "pyodide.mjs"],
    ["pyodide", "pyodide.asm.mjs"],
    ["pyscript", "core.js"],
    ...core,
  ];
  const lock = { info: JSON.parse(read(PYODIDE, "pyodide-lock.json")).info, packages: {} }; // no packages: 119 kB less
  const manifest = { inputs, sources: digests, groups, bytes, preload, lock };
  manifest.document = await document(template, manifest);
  const unfinished = `${manifestFile}.${process.pid}`;
  fs.writeFileSync(unfinished, JSON.stringify(manifest, null, 2));
  fs.renameSync(unfinished, manifestFile);
  tidy(ASSETS, [...Object.values(groups), manifest.document, "manifest.json"]);
  console.log(`The prepared runtime is in ${path.relative(process.cwd(), ASSETS)}.`);
}

await build();
