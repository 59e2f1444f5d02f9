import { join } from "node:path";
import type { Logger } from "pino";
import { Errands } from "../../packages/server/src/operator/errands.ts";
import { Leases } from "../../packages/server/src/operator/leases.ts";
import { Servers } from "../../packages/server/src/operator/servers.ts";
import type { Wakeups } from "../../packages/server/src/operator/wakeups.ts";
import type { Store } from "../../packages/server/src/store/store.ts";

/** What the operator's parts need to know of other servers, in a test without any. */
export interface LoneServer {
  readonly servers: Servers;
  readonly leases: Leases;
  readonly errands: Errands;
  close(): Promise<void>;
}

export async function openLoneServer(
  store: Store,
  wakeups: Wakeups,
  log: Logger,
  directory: string,
): Promise<LoneServer> {
  const servers = await Servers.start({ store, wakeups, log, directory: join(directory, "servers"), oneMachine: true });
  const errands = new Errands({ store, wakeups, servers, log });
  const close = async (): Promise<void> => {
    await errands.close();
    await servers.close();
  };
  return { servers, leases: new Leases(store, servers), errands, close };
}
