import { Option } from "commander";
import type { Output } from "./streams.ts";
import { cleanText } from "./terminal-text.ts";

export const OUTPUT_FORMATS = ["table", "wide", "json", "yaml", "name"] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

export function formatOption(formats: readonly OutputFormat[] = OUTPUT_FORMATS): Option {
  return new Option("-o, --output <format>", "how to write it").choices(formats).default("table");
}

/** Writes a value whole, for programs. Text in it is escaped by the format, except what a terminal might still take. */
export async function writeValue(output: Output, value: unknown, format: "json" | "yaml"): Promise<void> {
  if (format === "json") {
    output.line(output.isTerminal ? cleanText(JSON.stringify(value, null, 2)) : JSON.stringify(value, null, 2));
    return;
  }
  const { stringify } = await import("yaml");
  const text = stringify(value, { lineWidth: 0 });
  output.write(output.isTerminal ? cleanText(text) : text);
}
