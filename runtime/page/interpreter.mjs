// The interpreter that PyScript is told to use (`config.interpreter`): Pyodide with the prepared runtime.
//
// It starts Pyodide when it is evaluated, while PyScript itself still loads. The page's configuration names the groups
// of files, which runtime/build/build.mjs made.

const { runtime } = JSON.parse(document.querySelector('script[type="py"]').getAttribute("config"));
const at = (group, file) => new URL(`assets/${runtime.groups[group]}/${file}`, location.href).href;

// Switches JSPI off: nothing here waits synchronously, and Chromium's heap profiler, which is on for some of its users,
// reads past the end of the stacks that suspending needs and crashes the page.
delete WebAssembly.Suspending;

const pyodide = await import(at("pyodide", "pyodide.mjs"));

const output = { stdout: console.log, stderr: console.error }; // until PyScript brings its own
const consoleArchive = fetch(at("console", "console.marshal"));

const starting = pyodide.loadPyodide({
  indexURL: at("pyodide", ""),
  stdLibURL: at("library", "library.zip"),
  packageBaseUrl: at("pyodide", ""),
  lockFileContents: runtime.lock,
  stdout: (...line) => output.stdout(...line),
  stderr: (...line) => output.stderr(...line),
  async fsInit(FS) {
    const answer = await consoleArchive;
    FS.writeFile("/lib/console.marshal", new Uint8Array(await answer.arrayBuffer()));
  },
});

/** Called by runtime/build/sitecustomize.py: a module that the trimmed library lacks, while Python waits. */
function fetchModule(name) {
  const request = new XMLHttpRequest();
  request.open("GET", at("modules", `${name}.marshal`), false);
  request.overrideMimeType("text/plain; charset=x-user-defined"); // bytes; a synchronous request has no other way
  request.send();
  if (request.status !== 200) throw new Error(`${name}: HTTP status ${request.status}`);
  whenReady(() => reportError(new Error(`The prepared library lacks ${name}; it was fetched late.`)));
  return Uint8Array.from(request.responseText, (character) => character.charCodeAt(0) & 0xff);
}

const IMPORTED_BY = 20_000; // ms
const failures = new Map(); // by address

/**
 * Imports a module that is not part of the start, or says in time that it did not come. Python cannot do so itself: that
 * needs `eval`, which the page forbids. After a failure it has another address: not every browser asks again for the same.
 */
async function importModule(group, file) {
  const address = at(group, file);
  const failed = failures.get(address);
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${address} has not arrived`)), IMPORTED_BY);
  });
  try {
    return await Promise.race([import(failed ? `${address}?${failed}` : address), late]);
  } catch (error) {
    failures.set(address, (failed ?? 0) + 1);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Call back once Python listens for errors, so that the journal has it. */
function whenReady(callback) {
  new PerformanceObserver((list, observer) => {
    if (!list.getEntriesByName("console-ready").length) return;
    observer.disconnect();
    callback();
  }).observe({ type: "mark", buffered: true });
}

export const { version } = pyodide;

/** What PyScript calls. PyScript's own Python package is not created: it would be compiled at every load. */
export async function loadPyodide({ stdout, stderr }) {
  Object.assign(output, { stdout, stderr });
  const modules = [import(at("pyscript", "core.js")), import(at("page", "stats.mjs"))];
  const [interpreter, { stdlib }, { StatsReader }] = await Promise.all([starting, ...modules]);
  const run = interpreter.runPythonAsync;
  interpreter.runPythonAsync = (code, options) => (code.trim() === stdlib.trim() ? undefined : run(code, options));
  interpreter.registerJsModule("console_runtime", {
    fetch_module: fetchModule,
    import_module: importModule,
    StatsReader,
  });
  return interpreter;
}
