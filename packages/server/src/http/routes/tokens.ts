import { type FieldError, RaworcError } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import type { Caller } from "../../access/caller.ts";
import { hiddenError, seesSpace } from "../../domain/access.ts";
import { listScope } from "../../domain/access-scope.ts";
import { hashApiToken, makeApiToken } from "../../security/api-tokens.ts";
import { findAccount, findAccountById } from "../../store/accounts.ts";
import { findSpace } from "../../store/spaces.ts";
import type { Reader } from "../../store/store.ts";
import {
  deleteApiToken,
  findApiToken,
  insertApiToken,
  listApiTokens,
  presentApiToken,
  type StoredApiToken,
} from "../../store/tokens.ts";
import type { CallerCall } from "../call.ts";
import type { Collaborators } from "../collaborators.ts";
import { etagOf } from "../etag.ts";
import { linkNext } from "../pages.ts";
import { openRoute } from "../route.ts";
import { invalid, invalidFields, notThere } from "./refusals.ts";
import { findVisibleRole } from "./visible-roles.ts";

export function tokenRoutes(app: FastifyInstance, { access, store }: Collaborators): void {
  openRoute(app, "tokens.list", async ({ principal, query, request, reply, token }) => {
    const { cursor, limit, user } = query;
    const account = user === undefined ? undefined : await findAccount(store.read, user);
    if (user !== undefined && account === undefined) return [];
    const scope = [{ ownerId: principal.id }, ...listScope(principal, "list", "tokens")];
    const within = { spaceId: token.spaceId, role: token.role };
    const page = await listApiTokens(store.read, { limit, cursor, scope, within, accountId: account?.id });
    linkNext(request, reply, page.next);
    return page.items.map(presentApiToken);
  });

  openRoute(app, "tokens.create", async ({ body, note, principal, reply, token }) => {
    const caller = { principal, token };
    const { role, spaceId } = await limitsFor(store.read, caller, body);
    const expiresAt = expiryFor(caller, body.expires_at);
    note.name = body.name;
    note.details = { space: body.space ?? null, role, expires_at: expiresAt };
    const text = makeApiToken();
    const record = await access.change(async (transaction) => {
      const account = await findAccountById(transaction, principal.id);
      if (account?.active !== true) throw hiddenError();
      const created = { accountId: account.id, name: body.name, hash: hashApiToken(text), role, spaceId, expiresAt };
      return findApiToken(transaction, await insertApiToken(transaction, created));
    });
    if (record === undefined) throw new Error("An inserted token is there");
    const shown = presentApiToken(record);
    reply.header("etag", etagOf(shown));
    return { ...shown, token: text };
  });

  openRoute(app, "tokens.get", async (call) => {
    const record = await findApiToken(store.read, call.params.id);
    return presentApiToken(requireToken(call, record, "get"));
  });

  openRoute(app, "tokens.delete", async (call) => {
    const { id } = requireToken(call, await findApiToken(store.read, call.params.id), "delete");
    await access.change(async (transaction) => {
      const record = requireToken(call, await findApiToken(transaction, id), "delete");
      call.ifMatch(presentApiToken(record));
      call.note.details = { token_name: record.name, user: record.user };
      await deleteApiToken(transaction, id);
    });
    return undefined;
  });
}

/** One's own tokens need no right, but one that is limited sees only those within its limits. */
function requireToken(
  { authorize, principal, token }: Pick<CallerCall<"tokens.get">, "authorize" | "principal" | "token">,
  record: StoredApiToken | undefined,
  verb: "get" | "delete",
): StoredApiToken {
  if (record === undefined) throw hiddenError();
  const isWithin =
    (token.spaceId === undefined || token.spaceId === record.space_id) &&
    (token.role === undefined || token.role === record.role_name);
  if (record.account_id !== principal.id) authorize(verb, "tokens", { space: null, name: record.user });
  else if (!isWithin) throw hiddenError();
  return record;
}

interface AskedLimits {
  readonly space?: string | null | undefined;
  readonly role?: string | null | undefined;
}

/** What is left out is as narrow as the asking token; nothing may be wider. */
async function limitsFor(reader: Reader, { principal, token }: Caller, asked: AskedLimits) {
  const errors: FieldError[] = [];
  let spaceId = token.spaceId ?? null;
  if (asked.space !== undefined) {
    const space = asked.space === null ? null : await findSpace(reader, asked.space);
    if (space === undefined || (space !== null && !seesSpace(principal, space))) {
      errors.push(notThere("body.space", "space", asked.space ?? ""));
    } else spaceId = space?.id ?? null;
  }
  let role = token.role ?? null;
  if (asked.role !== undefined) {
    role = asked.role;
    if (role !== null && (await findVisibleRole(reader, principal, role)) === undefined) {
      errors.push(notThere("body.role", "role", role));
    }
  }
  if (errors.length > 0) throw invalidFields(errors);
  const isWider =
    (token.spaceId !== undefined && token.spaceId !== spaceId) || (token.role !== undefined && token.role !== role);
  if (isWider) {
    throw new RaworcError("forbidden", "A limited token can't make a wider one; leave out space and role.");
  }
  return { spaceId, role };
}

function expiryFor({ token }: Caller, asked: string | null | undefined): string | null {
  // A login makes tokens that outlive it; an API token makes none that outlive itself.
  const latest = token.kind === "api" ? token.expiresAt : null;
  if (asked === undefined) return latest;
  if (asked !== null && Date.parse(asked) <= Date.now()) throw invalid("body.expires_at", "is in the past");
  if (latest !== null && (asked === null || Date.parse(asked) > Date.parse(latest))) {
    throw new RaworcError("forbidden", `This token ends at ${latest}, and can't make one that ends later.`);
  }
  return asked === null ? null : new Date(asked).toISOString();
}
