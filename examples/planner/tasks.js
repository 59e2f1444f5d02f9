const DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/** "buy milk, call Anna and then sleep" as three texts. */
export function splitTasks(message) {
  return message
    .replace(/^(?:please |i (?:have|need|want) to |remind me to |remember to |add )+/i, "")
    .split(/\s*(?:[\n;]|,(?:\s*and\b)?(?:\s*then\b)?|\band then\b|\band\b|\.\s)\s*/i)
    .map((text) => text.replace(/[.!]+$/, "").trim())
    .filter((text) => text !== "");
}

/** Takes "tomorrow", "on friday" or "today" out of a text as a date. */
export function dueOf(text, today) {
  const match = /\s*\b(?:on |by |until |next )?(today|tomorrow|(?:sun|mon|tues|wednes|thurs|fri|satur)day)\b/i.exec(
    text,
  );
  if (match === null) return { text, due: null, done: false };
  const rest = `${text.slice(0, match.index)}${text.slice(match.index + match[0].length)}`.trim();
  const day = match[1].toLowerCase();
  const ahead = day === "today" ? 0 : day === "tomorrow" ? 1 : (DAYS.indexOf(day) - today.getUTCDay() + 7) % 7 || 7;
  return { text: rest === "" ? text : rest, due: dateOf(today, ahead), done: false };
}

/** A date for people: "Today", "Tomorrow", "Friday, 2026-11-27". */
export function nameOfDay(due, today) {
  if (due < dateOf(today, 0)) return `Overdue since ${due}`;
  if (due === dateOf(today, 0)) return "Today";
  if (due === dateOf(today, 1)) return "Tomorrow";
  const day = DAYS[new Date(`${due}T00:00:00Z`).getUTCDay()];
  return `${day[0].toUpperCase()}${day.slice(1)}, ${due}`;
}

function dateOf(today, ahead) {
  return new Date(today.getTime() + ahead * 86_400_000).toISOString().slice(0, 10);
}
