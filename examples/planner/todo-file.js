import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";

// The working directory is the session's workspace.
const FILE = "todo.md";
const ENTRY = /^- \[([ x])\] (.+?)(?: \(due (\d{4}-\d{2}-\d{2})\))?$/;

/** The entries of todo.md. Other lines that people write there are not kept. */
export function readList() {
  if (!existsSync(FILE)) return [];
  const lines = readFileSync(FILE, "utf8").split("\n");
  return lines.flatMap((line) => {
    const [, mark, text, due] = ENTRY.exec(line) ?? [];
    return text === undefined ? [] : [{ text, due: due ?? null, done: mark === "x" }];
  });
}

export function writeList(tasks) {
  const lines = tasks.map(
    ({ text, due, done }) => `- [${done ? "x" : " "}] ${text}${due === null ? "" : ` (due ${due})`}`,
  );
  // Put in place at once: nobody ever reads half a list.
  writeFileSync(`${FILE}.new`, `${["# To do", "", ...lines].join("\n")}\n`);
  renameSync(`${FILE}.new`, FILE);
}
