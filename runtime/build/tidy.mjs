// Removes what earlier builds left in build/assets, once no page that is still open can ask for it.

import fs from "node:fs";
import path from "node:path";

const KEPT_FOR = 7 * 24 * 3600 * 1000; // ms

/** Remove what is in `folder`, has not been used for a week, and is not among the names `used`. */
export function tidy(folder, used) {
  for (const name of fs.readdirSync(folder)) {
    const entry = path.join(folder, name);
    const old = Date.now() - fs.statSync(entry).mtimeMs > KEPT_FOR;
    if (old && !used.includes(name)) fs.rmSync(entry, { recursive: true });
  }
}
