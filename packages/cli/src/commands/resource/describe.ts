import { type Command, createCommand, withExamples } from "../../command.ts";
import type { Context } from "../../context.ts";
import { UsageFailure } from "../../failure.ts";
import { getRow, kindsHint, readNames } from "../../resource-calls.ts";
import { describeRow } from "../../resource-output.ts";
import { addPlaceOptions, type PlaceOptions, placeOf } from "./options.ts";

export function describeCommand(context: Context): Command {
  const command = createCommand(context, "describe")
    .summary("show everything about a resource")
    .description(`Shows all fields of resources.\n\n${kindsHint()}`)
    .argument("[resource]", "kind, or kind/name")
    .argument("[names...]")
    .action((word: string | undefined, names: readonly string[], options: PlaceOptions) =>
      runDescribe(context, word, names, options),
    );
  addPlaceOptions(command);
  return withExamples(context, command, ["raworc describe agent poet", `raworc describe session/$ID`]);
}

export async function runDescribe(
  context: Context,
  word: string | undefined,
  given: readonly string[],
  options: PlaceOptions,
): Promise<void> {
  const { kind, names } = readNames(word, given);
  if (names.length === 0) throw new UsageFailure(`Say which ${kind.singular}.`, [`raworc get ${kind.name} lists them`]);
  const client = await context.client();
  const place = placeOf(kind, options);
  const rows = await Promise.all(names.map((name) => getRow(client, kind, place, name)));
  const { out } = context.streams;
  for (const [index, row] of rows.entries()) {
    if (index > 0) out.line();
    out.foreign(`${describeRow(row).join("\n")}\n`);
  }
}
