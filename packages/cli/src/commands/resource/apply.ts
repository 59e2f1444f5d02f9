import { readFile } from "node:fs/promises";
import { ApiError, type Client } from "@raworc/client";
import { type Command, createCommand, withExamples } from "../../command.ts";
import type { Context } from "../../context.ts";
import { UsageFailure } from "../../failure.ts";
import { type Place, paramsFor, requireKind, routeFor } from "../../resource-calls.ts";
import type { ResourceKind, Row } from "../../resource-kinds.ts";
import { fieldsOf, parametersOf } from "../../route-fields.ts";
import { cleanLine } from "../../terminal-text.ts";
import { readAll } from "../../text-lines.ts";

export interface ApplyOptions {
  readonly file: string;
  readonly space?: string;
}

/** One document of a file, ready to be sent. */
interface Wanted {
  readonly kind: ResourceKind;
  readonly name: string;
  readonly place: Place;
  readonly fields: Readonly<Record<string, unknown>>;
}

export function applyCommand(context: Context): Command {
  const command = createCommand(context, "apply")
    .summary("create or change resources from a file")
    .description(
      "Makes resources be as a file of YAML or JSON says: those that are not there are created, the others changed in the " +
        "fields that the file names. Each document has a kind, the fields of a creation, and a space where it lies in one.",
    )
    .requiredOption("-f, --file <path>", "file of one or more documents; - is stdin")
    .option("-s, --space <space>", "space of those that name none (default: default)")
    .action((options: ApplyOptions) => runApply(context, options));
  return withExamples(context, command, [
    "raworc apply -f space.yaml",
    `printf 'kind: agent\\nname: poet\\nsource_repo: owner/poet\\n' | raworc apply -f -`,
  ]);
}

export async function runApply(context: Context, options: ApplyOptions): Promise<void> {
  const wanted = (await readDocuments(context, options.file)).map((document, index) =>
    readWanted(document, `document ${index + 1} of ${options.file}`, options),
  );
  if (wanted.length === 0) throw new UsageFailure(`${options.file} has no documents.`);
  const client = await context.client();
  for (const one of wanted) {
    const done = await applyOne(client, one);
    context.streams.out.line(`${one.kind.singular}/${cleanLine(one.name)} ${done}`);
  }
}

async function readDocuments(context: Context, path: string): Promise<unknown[]> {
  const { parseAllDocuments } = await import("yaml");
  let text: string;
  try {
    text = path === "-" ? await readAll(context.streams.stdin) : await readFile(path, "utf8");
  } catch (error) {
    throw new UsageFailure(`${path} can't be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  return [...parseAllDocuments(text)].flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw new UsageFailure(`${path} is no YAML: ${error.message}`);
    const value: unknown = document.toJS();
    return value === null ? [] : Array.isArray(value) ? value : [value];
  });
}

function readWanted(document: unknown, where: string, options: ApplyOptions): Wanted {
  if (typeof document !== "object" || document === null || !("kind" in document) || typeof document.kind !== "string") {
    throw new UsageFailure(`The ${where} has no kind.`, ["begin it with a line such as kind: agent"]);
  }
  const { kind: kindName, ...fields } = document as Record<string, unknown> & { kind: string };
  const kind = requireKind(kindName);
  const create = routeFor(kind, "create");
  routeFor(kind, "update");
  const name = fields[kind.key];
  if (typeof name !== "string" || name === "") throw new UsageFailure(`The ${where} has no ${kind.key}.`);
  if (!parametersOf(create).includes("space")) return { kind, name, place: {}, fields };
  const { space, ...rest } = fields;
  return { kind, name, place: { space: typeof space === "string" ? space : options.space }, fields: rest };
}

async function applyOne(
  client: Client,
  { kind, name, place, fields }: Wanted,
): Promise<"created" | "changed" | "unchanged"> {
  const get = routeFor(kind, "get");
  let present: Row;
  try {
    present = (await client.request(get, { params: paramsFor(kind, get, place, name) })) as Row;
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
    const create = routeFor(kind, "create");
    const params = parametersOf(create).length === 0 ? {} : paramsFor(kind, create, place);
    await client.request(create, { params, body: fields });
    return "created";
  }
  const update = routeFor(kind, "update");
  const known = new Set(fieldsOf(update, "body").map((field) => field.name));
  // What is as it should be is not sent: a change of an agent would start a build.
  const different = Object.entries(fields).filter(
    ([field, value]) => field !== kind.key && JSON.stringify(present[field]) !== JSON.stringify(value),
  );
  const fixed = different.find(([field]) => !known.has(field));
  if (fixed !== undefined) {
    throw new UsageFailure(`The field ${fixed[0]} of ${kind.singular}/${name} can't be changed.`, [
      "delete it first, or leave the field out",
    ]);
  }
  if (different.length === 0) return "unchanged";
  await client.request(update, { params: paramsFor(kind, update, place, name), body: Object.fromEntries(different) });
  return "changed";
}
