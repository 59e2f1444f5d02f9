import { RaworcError } from "@raworc/contract";
import type { FastifyInstance, FastifyReply } from "fastify";
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
import type { Transaction } from "../../store/store.ts";
import type { Collaborators } from "../collaborators.ts";
import { etagOf } from "../etag.ts";
import { linkNext } from "../pages.ts";
import { route } from "../route.ts";
import { locateAgent, locateInSpace } from "./locations.ts";

export function agentRoutes(app: FastifyInstance, { allowLocalSources, builds, store }: Collaborators): void {
  const inSpace = ({ params }: { params: { space: string } }) => locateInSpace(store.read, params.space);
  const byName = ({ params }: { params: { space: string; name: string } }) =>
    locateAgent(store.read, params.space, params.name);

  /** Changes agents and asks for the build that follows from it, in one transaction; gives the agent as it then is. */
  const change = async (
    space: StoredSpace,
    reply: FastifyReply,
    work: (transaction: Transaction) => Promise<StoredAgent | undefined>,
  ) => {
    const { agent, build } = await store.write(async (transaction) => ({
      agent: await work(transaction),
      build: await requestAutoBuild(transaction, space),
    }));
    builds.wake(space.id);
    if (agent === undefined) return undefined;
    reply.header("etag", etagOf(agent));
    return present(agent, space, build);
  };

  const present = async (agent: StoredAgent, space: StoredSpace, build?: StoredBuild) => ({
    ...presentAgent(agent, space.name, await readSpaceBuilds(store.read, space.id)),
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
  route(app, "agents.create", { locate: toCreate }, async ({ body, located: { space }, principal, reply }) => {
    parseSource(body.source_repo, { allowLocalSources });
    const agent = await change(space, reply, async (transaction) => {
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
    return present(agent, space);
  });

  route(app, "agents.update", { locate: byName }, async ({ body, ifMatch, located, reply }) => {
    if (body.source_repo !== undefined) parseSource(body.source_repo, { allowLocalSources });
    const agent = await change(located.space, reply, async (transaction) => {
      ifMatch(await currently(transaction, located.agent));
      return updateAgent(transaction, located.agent.id, body);
    });
    return agent ?? present(located.agent, located.space);
  });

  route(app, "agents.delete", { locate: byName }, async ({ ifMatch, located: { agent, space }, reply }) => {
    await change(space, reply, async (transaction) => {
      ifMatch(await currently(transaction, agent));
      await deleteAgent(transaction, agent.id);
      return undefined;
    });
    return undefined;
  });

  route(app, "agents.deploy", { locate: byName }, async ({ located: { agent, space } }) => {
    const build = await store.write(async (transaction) => {
      if (agent.stopped) await updateAgent(transaction, agent.id, { stopped: false });
      return requestBuild(transaction, space.id, { forceRebuild: false, gather: false });
    });
    builds.wake(space.id);
    return presentBuild(build, space.name);
  });

  route(app, "agents.stop", { locate: byName }, async ({ located, reply }) => {
    const agent = await change(located.space, reply, (transaction) =>
      updateAgent(transaction, located.agent.id, { stopped: true }),
    );
    return agent ?? present(located.agent, located.space);
  });
}
