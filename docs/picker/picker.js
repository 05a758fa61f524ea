// The picker: which command renders the answers that are chosen, and what it renders. The address has the answers, so
// that it can be sent to somebody. What it reads is made at build by scripts/picker.py, from the template itself.

const here = new URL(".", import.meta.url);
const picker = document.querySelector(".picker");
const form = picker.querySelector("form");
const source = "https://github.com/copier-django/copier-django.git";
const names = [...new Set([...form.elements].filter((each) => each.name).map((each) => each.name))];
const loaded = new Map();

const load = async (name) => {
  if (!loaded.has(name)) {
    const answer = await fetch(new URL(`data/${name}.json`, here));
    if (!answer.ok) throw new Error(`${name}.json: ${answer.status}`);
    loaded.set(name, await answer.json());
  }
  return loaded.get(name);
};

const boxes = (name) => [...form.querySelectorAll(`[name=${name}]`)];
const chosen = () =>
  Object.fromEntries(names.map((name) => [name, boxes(name).filter((box) => box.checked).map((box) => box.value).join(",")]));

// A command for a shell: words with a space or a bracket are quoted.
const command = (answers) => {
  const extras = answers.extras ? [`extras=[${answers.extras.split(",").join(", ")}]`] : [];
  const data = names.filter((name) => name !== "extras").map((name) => `${name}=${answers[name]}`);
  const words = ["project_name=Todo List", ...data, ...extras];
  const quoted = words.map((word) => `--data ${/^[\w.=-]+$/.test(word) ? word : `'${word}'`}`);
  return ["uvx copier copy --defaults", ...quoted, source, "todo-list"].join(" ");
};

// Each of the extras is a decision of its own, called extras.s3.
const decision = (answers, name) => {
  const [question, extra] = name.split(".");
  if (!extra) return answers[question];
  return answers.extras.split(",").includes(extra) ? extra : "";
};
const key = (by, answers) => by.map((name) => decision(answers, name)).join("|");
const tree = (files, answers) => files.flatMap((file, place) => (file.at.includes(key(file.by, answers)) ? [{ ...file, place }] : []));

// A file's text. One that depends on many of the extras is rendered with at most two of them, and with all.
const text = async (file, answers) => {
  const said = await load(file.place);
  const version = said.versions[said.at[key(said.by, answers)]];
  if (!version) {
    const extras = said.by.filter((name) => name.startsWith("extras.")).map((name) => name.split(".")[1]);
    return `Shown with at most two of these extras, or with all: ${extras.join(", ")}.\nTo read it with yours, choose fewer, or run the command above.\n`;
  }
  const lines = version.flatMap(([first, last]) => said.lines.slice(first, last)).join("\n");
  if (file.path !== ".copier-answers.yml" || !answers.extras) return lines;
  return lines.replace("extras: []\n", ["extras:", ...answers.extras.split(",").map((extra) => `- ${extra}`), ""].join("\n"));
};

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

// Folders first, as they are on a disk; a folder that was open stays so.
const list = (files, depth, open) => {
  const folders = new Map();
  const plain = [];
  for (const file of files) {
    const parts = file.path.split("/");
    if (parts.length > depth + 1) folders.set(parts[depth], [...(folders.get(parts[depth]) ?? []), file]);
    else plain.push(file);
  }
  const made = element("ul");
  for (const [name, within] of folders) {
    const path = within[0].path.split("/").slice(0, depth + 1).join("/");
    const details = element("details", { open: open.has(path) }, element("summary", {}, `${name}/`), list(within, depth + 1, open));
    details.dataset.path = path;
    made.append(element("li", {}, details));
  }
  for (const file of plain) {
    const button = element("button", { type: "button" }, file.path.split("/").at(-1));
    button.dataset.path = file.path;
    made.append(element("li", {}, button));
  }
  return made;
};

let shown = new URLSearchParams(location.search).get("file") ?? "README.md";

const show = async () => {
  const answers = chosen();
  const files = tree(await load("files"), answers);
  const file = files.find((each) => each.path === shown);
  picker.querySelector(".path").textContent = shown;
  for (const button of picker.querySelectorAll(".files button")) {
    button.setAttribute("aria-current", String(button.dataset.path === shown));
  }
  picker.querySelector(".text").textContent = file ? await text(file, answers) : "These answers give no such file.";
  history.replaceState(null, "", `?${new URLSearchParams({ ...answers, file: shown })}`);
};

const update = async () => {
  // What Copier refuses: Heroku keeps no files, such as a database, and PythonAnywhere has no Python 3.14.
  for (const [platform, question, value] of [["heroku", "database", "sqlite"], ["pythonanywhere", "python_version", "3.14"]]) {
    const refused = chosen().platform === platform;
    const [box] = boxes(question).filter((each) => each.value === value);
    if (refused && box.checked) boxes(question)[0].checked = true;
    box.disabled = refused;
  }
  const answers = chosen();
  picker.querySelector(".command").textContent = command(answers);
  const files = tree(await load("files"), answers);
  const open = new Set([...picker.querySelectorAll(".files details[open]")].map((each) => each.dataset.path));
  const parts = shown.split("/");
  parts.slice(0, -1).forEach((_, depth) => open.add(parts.slice(0, depth + 1).join("/")));
  picker.querySelector(".files").replaceChildren(list(files, 0, open));
  picker.querySelector(".count").textContent = `${files.length} files`;
  await show();
};

const failed = (error) => {
  picker.querySelector(".text").textContent = `The files could not be read (${error.message}). Serve the site by "make docs SERVE=1".`;
};

for (const [name, value] of new URLSearchParams(location.search)) {
  if (!names.includes(name)) continue;
  const values = value.split(",");
  if (boxes(name)[0].type === "radio" && !boxes(name).some((box) => box.value === value)) continue;
  for (const box of boxes(name)) box.checked = values.includes(box.value);
}
form.addEventListener("change", () => update().catch(failed));
form.addEventListener("submit", (event) => event.preventDefault());
picker.querySelector(".files").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  shown = button.dataset.path;
  show().catch(failed);
});
picker.querySelector(".copy").addEventListener("click", async (event) => {
  await navigator.clipboard.writeText(picker.querySelector(".command").textContent);
  event.target.textContent = "Copied";
});
update().catch(failed);

export { command, load, text, tree };
