import { existsSync } from "node:fs";
import type { Logger } from "pino";
import { anchorPath } from "./access/identity.ts";
import { AuditAnchor } from "./audit/audit-anchor.ts";
import { AuditLog } from "./audit/audit-log.ts";
import { verifyAudit } from "./audit/verify-audit.ts";
import { type Config, ConfigError } from "./config.ts";
import { rotateKey } from "./secrets/key-rotation.ts";
import { openKeyring } from "./secrets/open-keyring.ts";
import {
  type EncryptionKey,
  encryptionKeyOf,
  ensureNextKey,
  type Keys,
  loadKeys,
  promoteNextKey,
} from "./security/keys.ts";
import { openStore } from "./store/store.ts";

/** What an act of administration has found or done, for people. */
export interface Report {
  readonly isGood: boolean;
  readonly lines: readonly string[];
}

/** What is said where there is no installation yet: nothing is made by looking at it. */
function missing({ database }: Config): Report | undefined {
  if (database.kind !== "sqlite" || existsSync(database.path)) return undefined;
  const lines = [`There is no database at ${database.path}; the first start makes it: raworc start`];
  return { isGood: false, lines };
}

/** Looks at the whole chain of audit events. The server may run. Throws KeyError. */
export async function reportAudit(config: Config): Promise<Report> {
  const nothing = missing(config);
  if (nothing !== undefined) return nothing;
  const store = await openStore(config.database);
  try {
    const keyring = await openKeyring(store, await loadKeys(config), config.dataDirectory);
    const anchor = await new AuditAnchor(anchorPath(config.dataDirectory)).read();
    const { events, findings } = await verifyAudit(store.read, keyring, anchor);
    const problems = findings.map(({ problem, seq }) => (seq === null ? problem : `event ${seq}: ${problem}`));
    const sum =
      problems.length === 0
        ? `${events} audit events, all as they were written`
        : `${events} audit events, ${problems.length} problems`;
    return { isGood: problems.length === 0, lines: [sum, ...problems] };
  } finally {
    await store.close();
  }
}

/** Seals all secrets with a new key. Servers may run. Throws ConfigError or KeyError. */
export async function rotateEncryptionKey(config: Config, log: Logger): Promise<Report> {
  const nothing = missing(config);
  if (nothing !== undefined) return nothing;
  const keys = await loadKeys(config);
  const to = await newKey(config, keys);
  const store = await openStore(config.database);
  try {
    const keyring = await openKeyring(store, keys, config.dataDirectory);
    const anchor = new AuditAnchor(anchorPath(config.dataDirectory));
    const audit = new AuditLog({ store, keyring, log, anchor });
    await audit.begin();
    const leave = !keys.ownsEncryption;
    const { resealed, unreadable } = await rotateKey({ store, keyring, audit, to, leave });
    if (keys.ownsEncryption) await promoteNextKey(config.dataDirectory);
    await audit.close();
    const lines = [`${resealed} secrets sealed with the new key ${to.id}`];
    if (leave)
      lines.push("Start every server with the new key as RAWORC_ENCRYPTION_KEY; then the older one is not needed.");
    if (unreadable.length > 0) {
      lines.push(`${unreadable.length} secrets can be opened by no key that is here; set them again, or delete them.`);
    }
    return { isGood: unreadable.length === 0, lines };
  } finally {
    await store.close();
  }
}

async function newKey(config: Config, keys: Keys): Promise<EncryptionKey> {
  if (keys.ownsEncryption) return ensureNextKey(config.dataDirectory);
  if (config.newEncryptionKey === undefined) {
    throw new ConfigError([
      "The encryption key comes from outside. Set the new one as RAWORC_NEW_ENCRYPTION_KEY: openssl rand -base64 32",
    ]);
  }
  return encryptionKeyOf(config.newEncryptionKey);
}
