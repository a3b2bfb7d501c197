// Brotli for the stock page's files, as `make build` has it for ours: node compress.mjs FILE...; writes FILE.br.
import fs from "node:fs";
import zlib from "node:zlib";

for (const file of process.argv.slice(2)) fs.writeFileSync(`${file}.br`, zlib.brotliCompressSync(fs.readFileSync(file)));
