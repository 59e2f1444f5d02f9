import { existsSync } from "node:fs";
import { Kysely, SqliteDialect } from "kysely";
import type { Config, DatabaseAddress } from "./config.ts";
import { keyringOf } from "./secrets/open-keyring.ts";
import { findEncryptionKey, KeyError } from "./security/keys.ts";
import { readEncryptionKeyId } from "./store/encryption-keys.ts";
import { readApplied } from "./store/migrate.ts";
import type { Database } from "./store/rows.ts";
import { openSqlite } from "./store/sqlite.ts";
import type { Reader } from "./store/store.ts";

/** What was found of one part, as `raworc doctor` shows it. */
export interface Finding {
  readonly name: string;
  readonly state: "ok" | "bad";
  readonly text: string;
  readonly remedy?: string;
}

const BUSY_TIMEOUT_MS = 5000;

/** Looks at database and keys and changes nothing. The server may run. Never throws. */
export async function checkInstallation(config: Config): Promise<readonly Finding[]> {
  const { database } = config;
  const isMade = database.kind !== "sqlite" || existsSync(database.path);
  let reader: Reader | undefined;
  try {
    reader = isMade ? await openReader(database) : undefined;
    const isEmpty = reader === undefined || (await readApplied(reader)).length === 0;
    const where = database.kind === "sqlite" ? database.path : `MySQL at ${new URL(database.url).host}`;
    const text = isEmpty ? `${where} is made ready at the first start` : `${where} can be read`;
    const keys = await checkKeys(config, isEmpty ? undefined : reader);
    return [{ name: "Database", state: "ok", text }, keys];
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const remedy = "see docs/database.md";
    return [{ name: "Database", state: "bad", text, remedy }, await checkKeys(config, undefined)];
  } finally {
    await reader?.destroy();
  }
}

async function openReader(address: DatabaseAddress): Promise<Reader> {
  if (address.kind === "sqlite") {
    const database = openSqlite(address.path, { readOnly: true, busyTimeoutMs: BUSY_TIMEOUT_MS });
    return new Kysely<Database>({ dialect: new SqliteDialect({ database }) });
  }
  const { openMysqlReader } = await import("./store/mysql.ts");
  return openMysqlReader(address.url);
}

async function checkKeys(config: Config, reader: Reader | undefined): Promise<Finding> {
  const name = "Keys";
  try {
    const key = await findEncryptionKey(config);
    const needed = reader === undefined ? "" : await readEncryptionKeyId(reader);
    if (key !== undefined && reader !== undefined && needed !== "") {
      await keyringOf(reader, key, config.dataDirectory).need(needed);
      return { name, state: "ok", text: `the encryption key ${needed} is here` };
    }
    if (needed === "") {
      const text = key === undefined ? "they are made at the first start" : `the encryption key ${key.id} is here`;
      return { name, state: "ok", text };
    }
    return {
      name,
      state: "bad",
      text: `secrets are sealed with the key ${needed}, and there is none here`,
      remedy: `put it back to ${config.dataDirectory}/keys, or set RAWORC_ENCRYPTION_KEY or RAWORC_ENCRYPTION_KEY_FILE`,
    };
  } catch (error) {
    if (error instanceof KeyError) return { name, state: "bad", text: error.message };
    const text = `the database did not say which key it needs: ${error instanceof Error ? error.message : String(error)}`;
    return { name, state: "bad", text };
  }
}
