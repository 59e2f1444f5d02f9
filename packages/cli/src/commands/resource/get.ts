import { setTimeout as delay } from "node:timers/promises";
import { DEFAULT_SPACE } from "@raworc/contract";
import { type Command, collect, createCommand, wholeNumber, withExamples } from "../../command.ts";
import type { Context } from "../../context.ts";
import { UsageFailure } from "../../failure.ts";
import { formatOption, type OutputFormat } from "../../output.ts";
import { getRow, kindsHint, type ListOptions, listRows, readNames, referenceOf } from "../../resource-calls.ts";
import type { ResourceKind, Row } from "../../resource-kinds.ts";
import { writeRows } from "../../resource-output.ts";
import { addPlaceOptions, liesInSpace, type PlaceOptions, placeOf } from "./options.ts";

export interface GetOptions extends PlaceOptions {
  readonly output: OutputFormat;
  readonly limit?: number;
  readonly all?: boolean;
  readonly filter?: readonly string[];
  readonly deleted?: boolean;
  readonly showValues?: boolean;
  readonly watch?: boolean;
}

/** The API has no stream of changes of a list, so a person's watch looks again this often. */
const WATCH_MS = 2000;

export function getCommand(context: Context): Command {
  const command = createCommand(context, "get")
    .summary("list resources, or get some by name")
    .description(`Lists resources, newest first, or gets some by name.\n\n${kindsHint()}`)
    .argument("[resource]", "kind, or kind/name")
    .argument("[names...]")
    .action((word: string | undefined, names: readonly string[], options: GetOptions) =>
      runGet(context, word, names, options),
    );
  addGetOptions(command);
  return withExamples(context, command, [
    "raworc get agents",
    "raworc get agent poet -o yaml",
    "raworc get sessions --filter state=idle --watch",
    "raworc get messages --session $ID",
  ]);
}

export function addGetOptions(command: Command, kind?: ResourceKind): void {
  addPlaceOptions(command, kind);
  command
    .addOption(formatOption())
    .option("-l, --limit <count>", "how many at most", wholeNumber(1, 1000))
    .option("--all", "all there are, page by page")
    .option("--filter <field=value>", "only those; may be repeated", collect)
    .option("--deleted", "deleted ones too")
    .option("--show-values", "the values of secrets too; each is audited")
    .option("-w, --watch", "go on and show what changes");
}

export async function runGet(
  context: Context,
  word: string | undefined,
  given: readonly string[],
  options: GetOptions,
): Promise<void> {
  const { kind, names } = readNames(word, given);
  const place = placeOf(kind, options);
  const filters = readFilters(options);
  const list: ListOptions = { limit: options.limit, all: options.all === true, filters };
  const client = await context.client();
  const read = async () =>
    names.length === 0
      ? listRows(client, kind, place, list)
      : { rows: await Promise.all(names.map((name) => getRow(client, kind, place, name, filters))), hasMore: false };
  const { err } = context.streams;
  const format = options.output;
  const { rows, hasMore } = await read();
  const single = names.length === 1;
  if (rows.length > 0 || format === "json" || format === "yaml")
    await writeRows(context, kind, rows, { format, single });
  else err.line(`No ${kind.name}${whereText(kind, options)}.`);
  if (hasMore) err.line(err.paint("dim", `There are more: --all shows them all.`));
  if (options.watch === true) await watch(context, kind, read, rows, format);
}

function whereText(kind: ResourceKind, options: GetOptions): string {
  const parent = Object.values(kind.parents ?? {})[0];
  if (parent !== undefined) return ` in this ${parent}`;
  const space = liesInSpace(kind) ? (options.space ?? DEFAULT_SPACE) : options.space;
  return space === undefined ? "" : ` in the space ${space}`;
}

function readFilters(options: GetOptions): Record<string, string> {
  const filters = (options.filter ?? []).map((text) => {
    const [, name, value] = /^([^=]+)=(.*)$/.exec(text) ?? [];
    if (name === undefined || value === undefined) {
      throw new UsageFailure(`The filter ${JSON.stringify(text)} is not of the form field=value.`);
    }
    return [name, value] as const;
  });
  return {
    ...Object.fromEntries(filters),
    ...(options.deleted === true ? { deleted: "true" } : {}),
    ...(options.showValues === true ? { show_values: "true" } : {}),
  };
}

/** Shows each row again when it has changed, until the person has seen enough. */
async function watch(
  context: Context,
  kind: ResourceKind,
  read: () => Promise<{ readonly rows: readonly Row[] }>,
  before: readonly Row[],
  format: OutputFormat,
): Promise<never> {
  let hasHeader = before.length > 0;
  let known = new Map(before.map((row) => [referenceOf(kind, row), JSON.stringify(row)]));
  for (;;) {
    await delay(WATCH_MS);
    const { rows } = await read();
    const changed = rows.filter((row) => known.get(referenceOf(kind, row)) !== JSON.stringify(row));
    known = new Map(rows.map((row) => [referenceOf(kind, row), JSON.stringify(row)]));
    for (const row of changed) {
      await writeRows(context, kind, [row], { format, single: true, header: !hasHeader });
      hasHeader = true;
    }
  }
}
