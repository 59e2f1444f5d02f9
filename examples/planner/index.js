import { setTimeout as sleep } from "node:timers/promises";
import { dueOf, nameOfDay, splitTasks } from "./tasks.js";
import { readList, writeList } from "./todo-file.js";

const HELP =
  "Tell me what you have to do, for example: buy milk, call Anna tomorrow and finish the report on friday.\n" +
  'Then say "plan", "list", "done milk" or "clear".';

/** Called for each message; what it yields is shown as it comes. */
export async function* processMessage(message, context) {
  const today = new Date(context.timestamp);
  for (const line of answer(message.trim(), today)) {
    // A pause between words only makes it pleasant to watch.
    for (const word of line.split(/(?<=\s)/)) {
      yield word;
      await sleep(15);
    }
    yield "\n";
  }
}

function* answer(message, today) {
  const [, command, rest] = /^(\w+)\b\s*(.*)$/s.exec(message.toLowerCase()) ?? [];
  if (message === "" || /^(help|hello|hi|hey)$/.test(command ?? "")) yield HELP;
  else if (command === "list" || command === "show") yield* list();
  else if (command === "plan" || message.toLowerCase().startsWith("what")) yield* plan(today);
  else if (command === "clear") yield* clear();
  else if ((command === "done" || command === "finished") && rest !== "") yield* finish(rest);
  else yield* add(message, today);
}

function* add(message, today) {
  const tasks = readList();
  const added = splitTasks(message).map((text) => dueOf(text, today));
  writeList([...tasks, ...added]);
  yield `Noted ${added.length === 1 ? "one thing" : `${added.length} things`}:`;
  for (const { text, due } of added) yield `  + ${text}${due === null ? "" : ` (${nameOfDay(due, today)})`}`;
  const open = tasks.filter(({ done }) => !done).length + added.length;
  yield `That makes ${open} open. Say "plan" and I put them in order.`;
}

function* list() {
  const tasks = readList();
  if (tasks.length === 0) yield "The list is empty. What do you have to do?";
  for (const [index, { text, done, due }] of tasks.entries()) {
    yield `${String(index + 1).padStart(3)}. [${done ? "x" : " "}] ${text}${due === null ? "" : ` - ${due}`}`;
  }
}

function* plan(today) {
  const open = readList().filter(({ done }) => !done);
  if (open.length === 0) {
    yield "Nothing is open. Enjoy the day!";
    return;
  }
  const days = Map.groupBy(open, ({ due }) => due ?? "");
  const dated = [...days.keys()].filter((day) => day !== "").sort();
  for (const day of dated) {
    yield `${nameOfDay(day, today)}:`;
    for (const { text } of days.get(day)) yield `  - ${text}`;
  }
  if (days.has("")) yield dated.length === 0 ? "In any order:" : "Whenever there is time:";
  for (const { text } of days.get("") ?? []) yield `  - ${text}`;
  const first = days.get(dated[0] ?? "")[0];
  yield `I would begin with: ${first.text}.`;
}

function* finish(words) {
  const tasks = readList();
  const number = Number(words.replace(/\D/g, ""));
  const found = /^\D{0,4}\d+$/.test(words)
    ? tasks[number - 1]
    : tasks.find(({ text, done }) => !done && text.toLowerCase().includes(words));
  if (found === undefined) {
    yield `I find nothing open like "${words}". Say "list" to see all.`;
    return;
  }
  writeList(tasks.map((task) => (task === found ? { ...task, done: true } : task)));
  const open = tasks.filter((task) => task !== found && !task.done).length;
  yield `Done: ${found.text}. ${open === 0 ? "Nothing is left, well done!" : `${open} to go.`}`;
}

function* clear() {
  const count = readList().length;
  writeList([]);
  yield `Cleared ${count} ${count === 1 ? "entry" : "entries"}.`;
}
