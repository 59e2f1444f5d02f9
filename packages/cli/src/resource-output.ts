import type { Context } from "./context.ts";
import { formatSpan } from "./durations.ts";
import { type OutputFormat, writeValue } from "./output.ts";
import { referenceOf } from "./resource-calls.ts";
import type { Column, ResourceKind, Row } from "./resource-kinds.ts";
import { type Cell, formatTable } from "./table.ts";
import { cleanLine } from "./terminal-text.ts";

/** Cells of one column that are longer are cut, but with `-o wide`. */
const CELL_WIDEST = 60;

const STATE_COLOURS: Readonly<Record<string, "green" | "yellow" | "red" | "dim">> = {
  idle: "green",
  running: "green",
  completed: "green",
  done: "green",
  busy: "yellow",
  building: "yellow",
  pending: "yellow",
  queued: "yellow",
  init: "yellow",
  error: "red",
  failed: "red",
  denied: "red",
  paused: "dim",
  stopped: "dim",
  deleted: "dim",
  cancelled: "dim",
  configured: "dim",
};

/** Writes rows as the format says. `single` is one object and not a list of one. */
export async function writeRows(
  context: Context,
  kind: ResourceKind,
  rows: readonly Row[],
  options: { readonly format: OutputFormat; readonly single?: boolean; readonly header?: boolean },
): Promise<void> {
  const { out } = context.streams;
  const { format } = options;
  if (format === "json" || format === "yaml") {
    await writeValue(out, options.single === true ? rows[0] : rows, format);
    return;
  }
  if (format === "name") {
    for (const row of rows) out.line(cleanLine(referenceOf(kind, row)));
    return;
  }
  const columns = kind.columns.filter(({ wide }) => wide !== true || format === "wide");
  const lines = formatTable(
    rows.map((row) => columns.map((column) => cellOf(context, column, row))),
    {
      ...(options.header === false ? {} : { header: columns.map(({ title }) => title) }),
      paintHeader: (text) => out.paint("bold", text),
      right: new Set(columns.flatMap((column, index) => (column.as === "number" ? [index] : []))),
      ...(format === "wide" ? {} : { widest: CELL_WIDEST }),
    },
  );
  for (const line of lines) out.line(line);
}

function cellOf(context: Context, column: Column, row: Row): Cell {
  const value = typeof column.of === "string" ? row[column.of] : column.of(row);
  if (value === null || value === undefined || value === "") return { text: "-" };
  if (column.as === "age") return { text: formatSpan(context.now() - Date.parse(String(value))) };
  const text = cleanLine(typeof value === "object" ? JSON.stringify(value) : String(value));
  const colour = column.as === "state" ? STATE_COLOURS[text] : undefined;
  return colour === undefined ? { text } : { text, paint: (cell) => context.streams.out.paint(colour, cell) };
}

/** All fields of an object, one below the other, objects in objects indented. */
export function describeRow(value: Row, indent = ""): string[] {
  const entries = Object.entries(value);
  const width = Math.max(0, ...entries.filter(([, part]) => !isNested(part)).map(([name]) => name.length));
  return entries.flatMap(([name, part]) => {
    if (!isNested(part))
      return [
        `${indent}${name}${" ".repeat(Math.max(0, width - name.length))}  ${describeValue(part, `${indent}${" ".repeat(width)}  `)}`,
      ];
    const items = Array.isArray(part) ? part.map((item, index) => [`[${index}]`, item] as const) : undefined;
    const inner =
      items === undefined
        ? describeRow(part as Row, `${indent}  `)
        : describeRow(Object.fromEntries(items), `${indent}  `);
    return [`${indent}${name}`, ...inner];
  });
}

function isNested(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Array.isArray(value) ? value.some((item) => typeof item === "object") : Object.keys(value).length > 0;
}

function describeValue(value: unknown, indent: string): string {
  if (value === null || value === undefined || value === "") return "-";
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map(String).join(", ");
  if (typeof value === "object") return "none";
  return String(value).trimEnd().replaceAll("\n", `\n${indent}`);
}
