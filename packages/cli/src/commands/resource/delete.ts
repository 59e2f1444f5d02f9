import { type Command, createCommand, withExamples } from "../../command.ts";
import type { Context } from "../../context.ts";
import { SilentFailure, UsageFailure } from "../../failure.ts";
import { reportError } from "../../report.ts";
import { kindsHint, paramsFor, readNames, routeFor } from "../../resource-calls.ts";
import type { ResourceKind } from "../../resource-kinds.ts";
import { fieldsOf } from "../../route-fields.ts";
import { addPlaceOptions, type PlaceOptions, placeOf } from "./options.ts";

export interface DeleteOptions extends PlaceOptions {
  readonly force?: boolean;
}

export function deleteCommand(context: Context): Command {
  const command = createCommand(context, "delete")
    .summary("delete resources")
    .description(`Deletes resources by name.\n\n${kindsHint()}`)
    .argument("[resource]", "kind, or kind/name")
    .argument("[names...]")
    .option("--force", "with all that is in it, where that is possible")
    .action((word: string | undefined, names: readonly string[], options: DeleteOptions) =>
      runDelete(context, word, names, options),
    );
  addPlaceOptions(command);
  return withExamples(context, command, [
    "raworc delete agent poet painter",
    "raworc delete space team-a --force",
    "raworc get sessions -o name | xargs raworc delete",
  ]);
}

export async function runDelete(
  context: Context,
  word: string | undefined,
  given: readonly string[],
  options: DeleteOptions,
): Promise<void> {
  const { kind, names } = readNames(word, given);
  const route = routeFor(kind, "delete");
  if (names.length === 0) throw new UsageFailure(`Say which ${kind.singular}.`, [`raworc get ${kind.name} lists them`]);
  const client = await context.client();
  const query = forceQuery(kind, options);
  const { err, out } = context.streams;
  let failed: unknown;
  for (const name of names) {
    try {
      await client.request(route, { params: paramsFor(kind, route, placeOf(kind, options), name), query });
      out.line(`${kind.singular}/${name} deleted`);
    } catch (error) {
      // One that can't be deleted is no reason to leave the others.
      if (names.length === 1) throw error;
      failed = error;
      reportError(error, err);
    }
  }
  if (failed !== undefined) throw new SilentFailure();
}

function forceQuery(kind: ResourceKind, options: DeleteOptions): Record<string, string> {
  if (options.force !== true) return {};
  const isKnown = fieldsOf(routeFor(kind, "delete"), "query").some(({ name }) => name === "force");
  if (!isKnown) throw new UsageFailure(`The ${kind.singular} needs no --force.`);
  return { force: "true" };
}
