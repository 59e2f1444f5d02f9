import { type Command, createCommand, withArticle, withExamples } from "../../command.ts";
import type { Context } from "../../context.ts";
import { UsageFailure } from "../../failure.ts";
import { addFieldOptions, readBodyFile, readFieldOptions } from "../../field-options.ts";
import { formatOption, type OutputFormat } from "../../output.ts";
import { askFor } from "../../question.ts";
import { paramsFor, referenceOf, routeFor } from "../../resource-calls.ts";
import { RESOURCE_KINDS, type ResourceKind, type Row } from "../../resource-kinds.ts";
import { writeRows } from "../../resource-output.ts";
import { fieldsOf, parametersOf, type RouteField } from "../../route-fields.ts";
import { cleanLine } from "../../terminal-text.ts";
import { readAll } from "../../text-lines.ts";
import { addPlaceOptions, type PlaceOptions, placeOf } from "./options.ts";

export interface WriteOptions extends PlaceOptions {
  readonly file?: string;
  readonly output?: OutputFormat;
}

export function createResourceCommand(context: Context): Command {
  const command = createCommand(context, "create")
    .summary("create a resource")
    .description("Creates a resource from options, one for each field, or from a file of JSON or YAML.");
  for (const kind of RESOURCE_KINDS) {
    if (kind.routes.create === undefined) continue;
    const [name = "", ...aliases] = [kind.singular, kind.name, ...(kind.aliases ?? [])];
    command.addCommand(createKindCommand(context, kind, name).aliases(aliases));
  }
  return withExamples(context, command, [
    "raworc create agent poet --source-repo owner/poet",
    "raworc create space -f space.yaml",
  ]);
}

/** The creation of one kind, under whatever name. */
export function createKindCommand(context: Context, kind: ResourceKind, name: string): Command {
  const fields = bodyFields(kind, "create");
  const command = createCommand(context, name).description(`Creates ${withArticle(kind.singular)}.`);
  if (kind.positional !== undefined) command.argument(`[${kind.positional}]`);
  else command.allowExcessArguments(false);
  command
    .option("-f, --file <path>", "take fields from a file of JSON or YAML; - is stdin")
    .addOption(formatOption(["table", "wide", "json", "yaml", "name"]).default(undefined))
    .action((...given: unknown[]) => {
      const options = (kind.positional === undefined ? given[0] : given[1]) as WriteOptions;
      return runCreate(
        context,
        kind,
        kind.positional === undefined ? undefined : (given[0] as string | undefined),
        options,
      );
    });
  addPlaceOptions(command, kind);
  addFieldOptions(
    command,
    fields.filter((field) => field.name !== kind.positional && field.name !== "space"),
    kind.hidden,
  );
  return withExamples(context, command, [`raworc create ${kind.singular} ${kind.example}`]);
}

/** The change of one kind, under whatever name. */
export function updateKindCommand(context: Context, kind: ResourceKind): Command {
  const fields = bodyFields(kind, "update");
  const command = createCommand(context, "update")
    .description(`Changes fields of ${withArticle(kind.singular)}; the others stay as they are.`)
    .argument(`<${kind.key}>`)
    .option("-f, --file <path>", "take fields from a file of JSON or YAML; - is stdin")
    .addOption(formatOption(["table", "wide", "json", "yaml", "name"]).default(undefined))
    .action((name: string, options: WriteOptions) => runUpdate(context, kind, name, options));
  addPlaceOptions(command, kind);
  addFieldOptions(
    command,
    fields.filter((field) => field.name !== kind.key || kind.singular === "space"),
    kind.hidden,
  );
  return command;
}

function bodyFields(kind: ResourceKind, verb: "create" | "update"): RouteField[] {
  return fieldsOf(routeFor(kind, verb), "body");
}

export async function runCreate(
  context: Context,
  kind: ResourceKind,
  name: string | undefined,
  options: WriteOptions,
): Promise<void> {
  const route = routeFor(kind, "create");
  const fields = fieldsOf(route, "body");
  const fromFile = options.file === undefined ? {} : await readBodyFile(context, options.file);
  const body: Record<string, unknown> = { ...fromFile, ...readFieldOptions(options, fields) };
  if (name !== undefined && kind.positional !== undefined) body[kind.positional] = name;
  if (fields.some((field) => field.name === "space") && options.space !== undefined) body["space"] = options.space;
  await fillHidden(context, kind, fields, body);
  const missing = fields.filter((field) => field.required && body[field.name] === undefined);
  if (missing.length > 0)
    throw new UsageFailure(`The ${kind.singular} needs ${missing.map((field) => field.name).join(", ")}.`, [
      `see: raworc create ${kind.singular} --help`,
    ]);
  const client = await context.client();
  const params = parametersOf(route).length === 0 ? {} : paramsFor(kind, route, placeOf(kind, options));
  const answer = (await client.request(route, { params, body })) as Row;
  await tell(
    context,
    kind,
    "message" in answer && "reply" in answer ? (answer["message"] as Row) : answer,
    answer,
    "created",
    options,
  );
}

export async function runUpdate(
  context: Context,
  kind: ResourceKind,
  name: string,
  options: WriteOptions,
): Promise<void> {
  const route = routeFor(kind, "update");
  const fromFile = options.file === undefined ? {} : await readBodyFile(context, options.file);
  const fields = fieldsOf(route, "body");
  const body: Record<string, unknown> = { ...fromFile, ...readFieldOptions(options, fields) };
  await fillHidden(context, kind, fields, body);
  if (Object.keys(body).length === 0)
    throw new UsageFailure("Nothing to change was given.", [`see: raworc ${kind.singular} update --help`]);
  const client = await context.client();
  const row = (await client.request(route, {
    params: paramsFor(kind, route, placeOf(kind, options), name),
    body,
  })) as Row;
  await tell(context, kind, row, row, "changed", options);
}

/** What nobody should see comes from stdin or is asked for: words of a command line can be read by others. */
async function fillHidden(
  context: Context,
  kind: ResourceKind,
  fields: readonly RouteField[],
  body: Record<string, unknown>,
): Promise<void> {
  const field = fields.find(({ name }) => name === kind.hidden);
  if (field === undefined) return;
  if (body[field.name] === "-") body[field.name] = (await readAll(context.streams.stdin)).replace(/\r?\n$/, "");
  else if (field.required && body[field.name] === undefined) {
    body[field.name] = await askFor(context, `The ${field.name}`, { option: `--${field.name} -`, hidden: true });
  }
}

/** Says what was done, and which build follows from it. */
async function tell(
  context: Context,
  kind: ResourceKind,
  row: Row,
  answer: Row,
  done: string,
  options: WriteOptions,
): Promise<void> {
  const { err, out } = context.streams;
  if (options.output !== undefined) {
    const isWhole = options.output === "json" || options.output === "yaml";
    await writeRows(context, kind, [isWhole ? answer : row], { format: options.output, single: true });
    return;
  }
  const shown = kind.shownOnce === undefined ? undefined : row[kind.shownOnce];
  const told = `${cleanLine(referenceOf(kind, row))} ${done}`;
  if (typeof shown === "string") {
    out.line(shown);
    err.line(err.paint("dim", `${told}; what is above is shown only now`));
  } else out.line(told);
  const buildId = row["build_id"];
  if (kind.singular === "agent" && typeof buildId === "string") {
    const space = options.space === undefined ? "" : ` -s ${options.space}`;
    err.line(
      err.paint("dim", `Build ${cleanLine(buildId)} has begun: raworc logs build ${cleanLine(buildId)}${space} -f`),
    );
  }
}
