import { cutText, textWidth } from "./terminal-text.ts";

export interface Cell {
  readonly text: string;
  /** Puts colour around the finished cell. */
  readonly paint?: ((text: string) => string) | undefined;
}

export interface TableOptions {
  readonly header?: readonly string[];
  readonly paintHeader?: (text: string) => string;
  /** Columns whose cells lie against the right edge. */
  readonly right?: ReadonlySet<number>;
  /** Cells of a column that are wider are cut. */
  readonly widest?: number;
  readonly indent?: string;
}

const GAP = "  ";

/** Lines with their columns under each other. The last column is not padded. */
export function formatTable(rows: readonly (readonly Cell[])[], options: TableOptions = {}): string[] {
  const { header, indent = "", paintHeader, right = new Set<number>(), widest = Number.POSITIVE_INFINITY } = options;
  const head: Cell[] = (header ?? []).map((text) => ({ text, paint: paintHeader }));
  const all = header === undefined ? rows : [head, ...rows];
  const widths: number[] = [];
  const cut = all.map((row) =>
    row.map((cell, column) => {
      const text = cutText(cell.text, widest);
      widths[column] = Math.max(widths[column] ?? 0, textWidth(text));
      return { text, paint: cell.paint };
    }),
  );
  return cut.map((row) => {
    const cells = row.map(({ text, paint }, column) => {
      const space = " ".repeat((widths[column] ?? 0) - textWidth(text));
      const painted = paint === undefined ? text : paint(text);
      if (right.has(column)) return space + painted;
      return column === row.length - 1 ? painted : painted + space;
    });
    return `${indent}${cells.join(GAP)}`.trimEnd();
  });
}

/** Names before their values, as `status` and `describe` show one thing. */
export function formatFields(fields: readonly (readonly [name: string, value: string])[], indent = ""): string[] {
  const width = Math.max(0, ...fields.map(([name]) => textWidth(name)));
  return fields.map(([name, value]) => {
    const [first = "", ...more] = value.split("\n");
    const space = " ".repeat(width - textWidth(name));
    return [`${indent}${name}${space}  ${first}`, ...more.map((line) => `${indent}${" ".repeat(width)}  ${line}`)]
      .map((line) => line.trimEnd())
      .join("\n");
  });
}
