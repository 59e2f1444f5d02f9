import { RaworcError } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import { readBuildLog } from "../../operator/build-log.ts";
import { presentBuild } from "../../operator/build-record.ts";
import { requestBuild } from "../../operator/builds.ts";
import { findNewestBuild, listBuilds, updateBuild } from "../../store/builds.ts";
import { now } from "../../store/time.ts";
import type { Collaborators } from "../collaborators.ts";
import { acceptsEventStream, lastEventId, sendEvents } from "../event-stream.ts";
import { mapAsync } from "../map-async.ts";
import { linkNext } from "../pages.ts";
import { causeOf } from "../request-observation.ts";
import { route } from "../route.ts";
import { sendText } from "../stream.ts";
import { locateBuild, locateInSpace } from "./locations.ts";

export function buildRoutes(app: FastifyInstance, { builds, operations, store, wakeups }: Collaborators): void {
  const inSpace = ({ params }: { params: { space: string } }) => locateInSpace(store.read, params.space);
  const byId = ({ params }: { params: { space: string; build_id: string } }) =>
    locateBuild(store.read, params.space, params.build_id);

  route(app, "builds.create", { locate: inSpace }, async ({ body, foresee, located: { space }, request }) => {
    const build = await store.write(async (transaction) => {
      const requested = await requestBuild(transaction, space.id, { forceRebuild: body.force_rebuild, gather: false });
      return foresee(presentBuild(requested, space.name));
    });
    operations.caused(build.build_id, causeOf(request));
    builds.wake(space.id);
    return build;
  });

  route(app, "builds.list", { locate: inSpace }, async ({ located: { space }, query, request, reply }) => {
    const { limit, cursor, state } = query;
    const page = await listBuilds(store.read, { spaceId: space.id, limit, cursor, status: state });
    linkNext(request, reply, page.next);
    return page.items.map((build) => presentBuild(build, space.name));
  });

  route(app, "builds.latest", { locate: inSpace }, async ({ located: { space } }) => {
    const build = await findNewestBuild(store.read, space.id);
    if (build !== undefined) return presentBuild(build, space.name);
    throw new RaworcError("not_found", `The space ${space.name} has no build yet; register an agent, or start one.`);
  });

  route(app, "builds.get", { locate: byId }, async ({ located: { build, space } }) => presentBuild(build, space.name));

  route(app, "builds.cancel", { locate: byId }, async ({ foresee, located: { build, space }, principal }) => {
    if (build.status !== "pending" && build.status !== "building") {
      throw new RaworcError("wrong_state", `The build is ${build.status} already.`);
    }
    const error = `Cancelled by ${principal.name}`;
    const change =
      build.status === "pending"
        ? { status: "cancelled" as const, cancel_requested: true, completed_at: now(), error }
        : { cancel_requested: true, error };
    const cancelled = await store.write(async (transaction) =>
      foresee(presentBuild(await updateBuild(transaction, build.id, change), space.name)),
    );
    builds.interrupt(space.id);
    return cancelled;
  });

  route(app, "builds.logs", { locate: byId }, async ({ located: { build }, query, request, reply, signal }) => {
    const lines = readBuildLog(
      store,
      wakeups,
      build.id,
      { follow: query.follow, after: lastEventId(request) ?? 0 },
      signal,
    );
    if (acceptsEventStream(request)) {
      const events = mapAsync(lines, ({ seq, line }) => ({ id: seq, type: "build.log", data: { line } }));
      return sendEvents(app, reply, events);
    }
    return sendText(
      app,
      reply,
      mapAsync(lines, ({ line }) => `${line}\n`),
    );
  });
}
