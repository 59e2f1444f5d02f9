import { RaworcError, type Secret } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import { hiddenError } from "../../domain/access.ts";
import { listScope } from "../../domain/access-scope.ts";
import { openSecret, sealSecret } from "../../secrets/space-secrets.ts";
import { lockRow } from "../../store/locks.ts";
import {
  deleteSecret,
  findSecret,
  insertSecret,
  listSecrets,
  presentSecret,
  type StoredSecret,
  updateSecret,
} from "../../store/secrets.ts";
import { listLiveSessionIdsOfSpace } from "../../store/sessions.ts";
import type { StoredSpace } from "../../store/spaces.ts";
import type { Transaction } from "../../store/store.ts";
import type { Collaborators } from "../collaborators.ts";
import { etagOf } from "../etag.ts";
import { linkNext } from "../pages.ts";
import { route } from "../route.ts";
import { locateInSpace } from "./locations.ts";
import { requireSameName } from "./refusals.ts";

export function secretRoutes(app: FastifyInstance, { keyring, sessions, store, wakeups }: Collaborators): void {
  const inSpace = ({ params }: { params: { space: string } }) => locateInSpace(store.read, params.space);
  const locate = async ({ params }: { params: { space: string; key_name: string } }) => {
    const { space } = await locateInSpace(store.read, params.space);
    const secret = await findSecret(store.read, space.id, params.key_name);
    if (secret === undefined) throw hiddenError();
    return { space, name: secret.key_name, secret };
  };
  /** Running sessions get the new values with their next message. */
  const change = async <T>(space: StoredSpace, work: (transaction: Transaction) => Promise<T>): Promise<T> => {
    const result = await store.write(work);
    sessions.outdate(await listLiveSessionIdsOfSpace(store.read, space.id));
    wakeups.emit("secrets", space.id, undefined);
    return result;
  };
  const currently = async (transaction: Transaction, { id, key_name, space_id }: StoredSecret) => {
    await lockRow(transaction, "secrets", id);
    const secret = await findSecret(transaction, space_id, key_name);
    if (secret === undefined) throw hiddenError();
    return secret;
  };

  route(app, "secrets.list", { locate: inSpace }, async (call) => {
    const { audited, authorize, located, note, principal, query, request, reply } = call;
    const { space } = located;
    const scopes = [listScope(principal, "list", "secrets")];
    if (query.show_values) {
      note.action = "read-values";
      const readable = listScope(principal, "read-values", "secrets");
      const isAny = readable.some(({ spaceId }) => spaceId === undefined || spaceId === space.id);
      if (!isAny) authorize("read-values", "secrets", located);
      scopes.push(readable);
    }
    const { limit, cursor } = query;
    const page = await listSecrets(store.read, { spaceId: space.id, limit, cursor, scopes });
    linkNext(request, reply, page.next);
    if (!query.show_values) return page.items.map((secret) => presentSecret(secret, space.name));
    note.details = { key_names: page.items.map(({ key_name }) => key_name) };
    await audited();
    return Promise.all(page.items.map((secret) => withValue(secret, space)));
  });

  const withValue = async (secret: StoredSecret, space: StoredSpace): Promise<Secret> => ({
    ...presentSecret(secret, space.name),
    value: await openSecret(keyring, secret),
  });

  const toCreate = ({ params, body }: { params: { space: string }; body: { key_name: string } }) =>
    locateInSpace(store.read, params.space, body.key_name);
  route(app, "secrets.create", { locate: toCreate }, async ({ body, foresee, located: { space }, principal }) => {
    const { description, key_name: keyName } = body;
    return change(space, async (transaction) => {
      const value = await sealSecret(transaction, keyring, { spaceId: space.id, keyName }, body.value);
      if ((await findSecret(transaction, space.id, keyName)) !== undefined) {
        const detail = `The space ${space.name} has a secret named ${keyName} already; change it with PUT.`;
        throw new RaworcError("name_taken", detail);
      }
      const createdBy = principal.name;
      const secret = await insertSecret(transaction, { spaceId: space.id, keyName, value, description, createdBy });
      return foresee(presentSecret(secret, space.name));
    });
  });

  route(app, "secrets.get", { locate }, async ({ audited, authorize, located, note, query, reply }) => {
    const { secret, space } = located;
    const shown = presentSecret(secret, space.name);
    if (!query.show_values) return shown;
    note.action = "read-values";
    authorize("read-values", "secrets", located);
    await audited();
    reply.header("etag", etagOf(shown));
    return withValue(secret, space);
  });

  route(app, "secrets.update", { locate }, async ({ body, ifMatch, located: { name, secret, space } }) => {
    requireSameName("body.key_name", body.key_name, name);
    const changed = await change(space, async (transaction) => {
      const place = { spaceId: space.id, keyName: name };
      const value = body.value === undefined ? undefined : await sealSecret(transaction, keyring, place, body.value);
      const current = await currently(transaction, secret);
      ifMatch(presentSecret(current, space.name));
      return updateSecret(transaction, current, { value, description: body.description });
    });
    return presentSecret(changed, space.name);
  });

  route(app, "secrets.delete", { locate }, async ({ ifMatch, located: { secret, space } }) => {
    await change(space, async (transaction) => {
      const current = await currently(transaction, secret);
      ifMatch(presentSecret(current, space.name));
      await deleteSecret(transaction, current);
    });
    return undefined;
  });
}
