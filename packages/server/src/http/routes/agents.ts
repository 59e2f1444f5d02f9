import { RaworcError } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import { hiddenError } from "../../domain/access.ts";
import { listScope } from "../../domain/access-scope.ts";
import { parseSource } from "../../domain/source.ts";
import { presentAgent, readSpaceBuilds } from "../../operator/agents.ts";
import { presentBuild } from "../../operator/build-record.ts";
import { requestAutoBuild, requestBuild } from "../../operator/builds.ts";
import { deleteAgent, findAgent, insertAgent, listAgents, type StoredAgent, updateAgent } from "../../store/agents.ts";
import type { StoredBuild } from "../../store/builds.ts";
import { lockRow } from "../../store/locks.ts";
import type { StoredSpace } from "../../store/spaces.ts";
import type { Reader, Transaction } from "../../store/store.ts";
import type { Call } from "../call.ts";
import type { Collaborators } from "../collaborators.ts";
import { etagOf } from "../etag.ts";
import { linkNext } from "../pages.ts";
import { causeOf } from "../request-observation.ts";
import { route } from "../route.ts";
import { locateAgent, locateInSpace } from "./locations.ts";

export function agentRoutes(app: FastifyInstance, collaborators: Collaborators): void {
  const { allowLocalSources, builds, operations, store } = collaborators;
  const inSpace = ({ params }: { params: { space: string } }) => locateInSpace(store.read, params.space);
  const byName = ({ params }: { params: { space: string; name: string } }) =>
    locateAgent(store.read, params.space, params.name);

  /** Changes agents and asks for the build that follows from it, in one transaction; gives the agent as it then is. */
  const change = async (
    space: StoredSpace,
    { foresee, reply, request }: Pick<Call<"agents.create">, "foresee" | "reply" | "request">,
    work: (transaction: Transaction) => Promise<StoredAgent | undefined>,
  ) => {
    const changed = await store.write(async (transaction) => {
      const agent = await work(transaction);
      const build = await requestAutoBuild(transaction, space);
      if (build !== undefined) operations.caused(build.id, causeOf(request));
      if (agent === undefined) return undefined;
      return { agent, answer: foresee(await present(transaction, agent, space, build)) };
    });
    builds.wake(space.id);
    if (changed === undefined) return undefined;
    reply.header("etag", etagOf(changed.agent));
    return changed.answer;
  };

  const present = async (reader: Reader, agent: StoredAgent, space: StoredSpace, build?: StoredBuild) => ({
    ...presentAgent(agent, space.name, await readSpaceBuilds(reader, space.id)),
    ...(build === undefined ? {} : { build_id: build.id }),
  });

  /** As it is in the transaction that changes it, and as If-Match has it: what builds make of it doesn't count. */
  const currently = async (transaction: Transaction, { id, name, space_id }: StoredAgent): Promise<StoredAgent> => {
    await lockRow(transaction, "agents", id);
    const agent = await findAgent(transaction, space_id, name);
    if (agent?.id !== id) throw hiddenError();
    return agent;
  };

  route(app, "agents.list", { locate: inSpace }, async ({ located: { space }, principal, query, request, reply }) => {
    const { status, limit, cursor } = query;
    const scope = listScope(principal, "list", "agents");
    const page = await listAgents(store.read, { spaceId: space.id, scope, limit, cursor });
    linkNext(request, reply, page.next);
    const known = await readSpaceBuilds(store.read, space.id);
    const agents = page.items.map((agent) => presentAgent(agent, space.name, known));
    return status === undefined ? agents : agents.filter((agent) => agent.status === status);
  });

  const toCreate = ({ params, body }: { params: { space: string }; body: { name: string } }) =>
    locateInSpace(store.read, params.space, body.name);
  route(app, "agents.create", { locate: toCreate }, async (call) => {
    const { body, principal } = call;
    const { space } = call.located;
    parseSource(body.source_repo, { allowLocalSources });
    const agent = await change(space, call, async (transaction) => {
      if ((await findAgent(transaction, space.id, body.name)) !== undefined) {
        const detail = `The space ${space.name} has an agent named ${body.name} already; change it with PUT.`;
        throw new RaworcError("name_taken", detail);
      }
      return insertAgent(transaction, space.id, principal.name, body);
    });
    if (agent === undefined) throw new Error("An inserted agent is there");
    return agent;
  });

  route(app, "agents.get", { locate: byName }, ({ located: { agent, space }, reply }) => {
    reply.header("etag", etagOf(agent));
    return present(store.read, agent, space);
  });

  route(app, "agents.update", { locate: byName }, async (call) => {
    const { body, ifMatch, located } = call;
    if (body.source_repo !== undefined) parseSource(body.source_repo, { allowLocalSources });
    const agent = await change(located.space, call, async (transaction) => {
      ifMatch(await currently(transaction, located.agent));
      return updateAgent(transaction, located.agent.id, body);
    });
    return agent ?? present(store.read, located.agent, located.space);
  });

  route(app, "agents.delete", { locate: byName }, async (call) => {
    const { agent, space } = call.located;
    await change(space, call, async (transaction) => {
      call.ifMatch(await currently(transaction, agent));
      await deleteAgent(transaction, agent.id);
      return undefined;
    });
    return undefined;
  });

  route(app, "agents.deploy", { locate: byName }, async ({ foresee, located: { agent, space }, request }) => {
    const build = await store.write(async (transaction) => {
      if (agent.stopped) await updateAgent(transaction, agent.id, { stopped: false });
      const requested = await requestBuild(transaction, space.id, { forceRebuild: false, gather: false });
      return foresee(presentBuild(requested, space.name));
    });
    operations.caused(build.build_id, causeOf(request));
    builds.wake(space.id);
    return build;
  });

  route(app, "agents.stop", { locate: byName }, async (call) => {
    const { located } = call;
    const agent = await change(located.space, call, (transaction) =>
      updateAgent(transaction, located.agent.id, { stopped: true }),
    );
    return agent ?? present(store.read, located.agent, located.space);
  });
}
