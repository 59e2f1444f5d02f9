import { RaworcError } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import { hiddenError, type Principal } from "../../domain/access.ts";
import { coversPrincipal } from "../../domain/access-coverage.ts";
import { listScope } from "../../domain/access-scope.ts";
import {
  deleteAccount,
  findAccount,
  findAccountById,
  insertAccount,
  listAccounts,
  presentAccount,
  type StoredAccount,
  updateAccount,
} from "../../store/accounts.ts";
import { listAccountBindings } from "../../store/role-bindings.ts";
import type { Transaction } from "../../store/store.ts";
import type { Collaborators } from "../collaborators.ts";
import { linkNext } from "../pages.ts";
import { OUTSIDE_SPACES, openRoute, route } from "../route.ts";
import { requireAnotherAdmin } from "./last-admin.ts";
import { invalid, requireSameName } from "./refusals.ts";

export function accountRoutes(app: FastifyInstance, collaborators: Collaborators): void {
  const { access, passwords, store, throttle } = collaborators;
  const locate = async ({ params: { name } }: { params: { name: string } }) => {
    const account = await findAccount(store.read, name);
    if (account === undefined) throw hiddenError();
    return { space: null, name, account };
  };
  /** The account as it is in the transaction; another one of the same name doesn't count. */
  const currently = async (transaction: Transaction, { id }: StoredAccount) => {
    const account = await findAccountById(transaction, id);
    if (account === undefined) throw hiddenError();
    return account;
  };

  route(
    app,
    "service-accounts.list",
    { locate: () => OUTSIDE_SPACES },
    async ({ principal, query, request, reply }) => {
      const page = await listAccounts(store.read, {
        ...query,
        scope: listScope(principal, "list", "service-accounts"),
      });
      linkNext(request, reply, page.next);
      return page.items.map(presentAccount);
    },
  );

  const toCreate = ({ body }: { body: { user: string } }) => ({ space: null, name: body.user, isNew: true });
  route(app, "service-accounts.create", { locate: toCreate }, async ({ body, foresee }) => {
    const { active, description, pass, user } = body;
    const passwordHash = await passwords.hash(pass);
    return access.change(async (transaction) => {
      if ((await findAccount(transaction, user)) !== undefined) {
        throw new RaworcError("name_taken", `There is an account named ${user} already; choose another name.`);
      }
      return foresee(presentAccount(await insertAccount(transaction, { user, passwordHash, description, active })));
    });
  });

  route(app, "service-accounts.get", { locate }, ({ located }) => presentAccount(located.account));

  route(app, "service-accounts.update", { locate }, async ({ body, ifMatch, located, principal }) => {
    const { active, description, pass, user } = body;
    requireSameName("body.user", user, located.name);
    if (pass !== undefined && located.account.id === principal.id) {
      throw invalid("body.pass", "is one's own password; change it with PUT /service-accounts/{name}/password");
    }
    const passwordHash = pass === undefined ? undefined : await passwords.hash(pass);
    const account = await access.change(async (transaction) => {
      const current = await currently(transaction, located.account);
      ifMatch(presentAccount(current));
      if (passwordHash !== undefined) await requireCover(transaction, principal, current);
      if (active === false) await requireAnotherAdmin(transaction, { accountId: current.id });
      return updateAccount(transaction, current.id, { active, description, passwordHash });
    });
    return presentAccount(account);
  });

  route(app, "service-accounts.delete", { locate }, async ({ ifMatch, located }) => {
    await access.change(async (transaction) => {
      const current = await currently(transaction, located.account);
      ifMatch(presentAccount(current));
      await requireAnotherAdmin(transaction, { accountId: current.id });
      await deleteAccount(transaction, current.id);
    });
    return undefined;
  });

  openRoute(app, "service-accounts.set-password", async (call) => {
    const { authorize, body, ifMatch, note, params, principal, request } = call;
    const isOwn = params.name === principal.name;
    if (!isOwn) authorize("update", "service-accounts", { space: null, name: params.name });
    const account = await findAccount(store.read, params.name);
    if (account === undefined || (isOwn && account.id !== principal.id)) throw hiddenError();
    if (isOwn) {
      const given = body.current_password;
      if (given === undefined) throw invalid("body.current_password", "is required for one's own password");
      const check = () => passwords.verify(given, account.password_hash);
      if (!(await throttle.attempt(account.user, request.ip, check))) {
        note.refused = true;
        throw new RaworcError("forbidden", "The current password is wrong.");
      }
    }
    const passwordHash = await passwords.hash(body.new_password);
    await access.change(async (transaction) => {
      const current = await currently(transaction, account);
      ifMatch(presentAccount(current));
      // Of two who know the password, the one who changes it first has changed it.
      if (isOwn && current.password_hash !== account.password_hash) {
        throw new RaworcError("forbidden", "The current password is wrong.");
      }
      if (!isOwn) await requireCover(transaction, principal, current);
      await updateAccount(transaction, current.id, { passwordHash });
    });
    return undefined;
  });
}

/** Whoever sets another's password can be him: nobody may so gain rights that he lacks. */
async function requireCover(transaction: Transaction, principal: Principal, account: StoredAccount): Promise<void> {
  const bindings = await listAccountBindings(transaction, account.id);
  if (coversPrincipal(principal, { bindings })) return;
  throw new RaworcError("forbidden", `The account ${account.user} has rights that you lack; ask an administrator.`);
}
