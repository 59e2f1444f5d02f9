import { API_VERSION, type Health, type Version } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import { VERSION } from "../../version.ts";
import type { Collaborators } from "../collaborators.ts";
import { openRoute } from "../route.ts";

const DATABASE_CHECK_MS = 2000;

export function systemRoutes(app: FastifyInstance, { operator, runtime, store }: Collaborators): void {
  openRoute(app, "health.get", async ({ reply }) => {
    const [database, driver] = await Promise.all([
      store.check(DATABASE_CHECK_MS).then(
        () => true,
        () => false,
      ),
      runtime.check(),
    ]);
    const state = (good: boolean) => (good ? ("ok" as const) : ("down" as const));
    const well = database && driver.ok && operator.running();
    if (!well) reply.code(503);
    const checks = { database: state(database), operator: state(operator.running()), runtime: state(driver.ok) };
    return { status: state(well), checks } satisfies Health;
  });

  openRoute(app, "version.get", () => ({ version: VERSION, api: API_VERSION }) satisfies Version);
}
