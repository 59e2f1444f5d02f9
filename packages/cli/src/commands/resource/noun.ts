import { type Command, createCommand, withArticle } from "../../command.ts";
import type { Context } from "../../context.ts";
import { requireKind } from "../../resource-calls.ts";
import type { ResourceKind } from "../../resource-kinds.ts";
import { createKindCommand, updateKindCommand } from "./create.ts";
import { type DeleteOptions, runDelete } from "./delete.ts";
import { runDescribe } from "./describe.ts";
import { addGetOptions, type GetOptions, runGet } from "./get.ts";
import { addPlaceOptions, type PlaceOptions } from "./options.ts";

/** A kind with its verbs below it: `raworc space list`. The same runs as with the verb in front. */
export function nounCommand(context: Context, name: string): Command {
  const kind = requireKind(name);
  const command = createCommand(context, kind.singular).summary(`work with ${kind.name}`);
  if (kind.routes.list !== undefined) command.addCommand(listCommand(context, kind));
  if (kind.routes.get !== undefined) {
    const get = createCommand(context, "get")
      .description(`Shows all fields of ${withArticle(kind.singular)}.`)
      .argument(`<${kind.key}>`)
      .action((key: string, options: PlaceOptions) => runDescribe(context, kind.singular, [key], options));
    addPlaceOptions(get, kind);
    command.addCommand(get);
  }
  if (kind.routes.create !== undefined) command.addCommand(createKindCommand(context, kind, "create"));
  if (kind.routes.update !== undefined) command.addCommand(updateKindCommand(context, kind));
  if (kind.routes.delete !== undefined) {
    const remove = createCommand(context, "delete")
      .description(`Deletes ${kind.name}.`)
      .argument(`<${kind.key}...>`)
      .option("--force", "with all that is in it, where that is possible")
      .action((keys: readonly string[], options: DeleteOptions) => runDelete(context, kind.singular, keys, options));
    addPlaceOptions(remove, kind);
    command.addCommand(remove);
  }
  return command;
}

function listCommand(context: Context, kind: ResourceKind): Command {
  const command = createCommand(context, "list")
    .description(`Lists ${kind.name}, newest first.`)
    .action((options: GetOptions) => runGet(context, kind.name, [], options));
  addGetOptions(command, kind);
  return command;
}
