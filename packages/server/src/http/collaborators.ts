import type { Identity } from "../access/identity.ts";
import type { Builds } from "../operator/builds.ts";
import type { MessageAcceptance } from "../operator/message-acceptance.ts";
import type { Messages } from "../operator/messages.ts";
import type { SessionLog } from "../operator/session-log.ts";
import type { SessionOpener } from "../operator/session-opener.ts";
import type { Sessions } from "../operator/sessions.ts";
import type { Wakeups } from "../operator/wakeups.ts";
import type { WarmPool } from "../operator/warm-pool.ts";
import type { RuntimeDriver } from "../runtime/driver.ts";
import type { DatabaseVersion } from "../store/database-version.ts";
import type { Store } from "../store/store.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Operations } from "../telemetry/operations.ts";

/** What the routes work with. */
export interface Collaborators
  extends Pick<Identity, "access" | "audit" | "keyring" | "login" | "passwords" | "throttle"> {
  /** The identity's: its changes carry their audit events. */
  readonly store: Store;
  readonly databaseVersion: Pick<DatabaseVersion, "current">;
  readonly wakeups: Wakeups;
  readonly sessionLog: SessionLog;
  readonly sessions: Sessions;
  readonly messages: Messages;
  readonly acceptance: MessageAcceptance;
  readonly builds: Builds;
  readonly opener: SessionOpener;
  readonly pool: Pick<WarmPool, "drain" | "counts">;
  /** Hears which request has asked for what. */
  readonly operations: Pick<Operations, "caused">;
  readonly metrics: Metrics;
  readonly operator: { running(): boolean };
  readonly runtime: Pick<RuntimeDriver, "check" | "usage" | "capabilities">;
  /** Whether agents may come from paths of this machine. */
  readonly allowLocalSources: boolean;
}
