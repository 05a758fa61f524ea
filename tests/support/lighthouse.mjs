// Measures pages with Lighthouse in a running Chromium: node lighthouse.mjs PACKAGE_FOLDER PORT URL…
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, port, ...urls] = process.argv.slice(2);
const path = createRequire(`${resolve(folder)}/`).resolve("lighthouse");
const { default: lighthouse } = await import(pathToFileURL(path).href);
const options = {
  port: Number(port),
  // Speed is not measured: other tests may have used the processor a moment ago.
  onlyCategories: ["accessibility", "best-practices", "seo"],
  disableFullPageScreenshot: true,
  logLevel: "silent",
  output: [],
};
const found = {};
for (const url of urls) {
  const { lhr } = await lighthouse(url, options);
  found[url] = Object.values(lhr.categories)
    .flatMap((category) => category.auditRefs.filter(({ weight }) => weight).map(({ id }) => lhr.audits[id]))
    .filter(({ score, scoreDisplayMode }) => scoreDisplayMode === "error" || (score !== null && score < 1))
    .map(({ id, title, errorMessage }) => `${id}: ${errorMessage ?? title}`);
  if (lhr.runtimeError) found[url].push(lhr.runtimeError.message);
}
console.log(JSON.stringify(found));
// Lighthouse keeps a connection to the browser.
process.exit(0);
