import { randomBytes } from "node:crypto";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { CommandFailure } from "../failure.ts";
import { DATABASE_NAME, DATABASE_PORT } from "./container-plan.ts";

/** What of the environment is the server's business; where its home and database are is said for it. */
const HANDED_ON = /^(?:RAWORC_|PIP_|NPM_CONFIG_|CARGO_|OTEL_|SSL_CERT_FILE$|(?:HTTP|HTTPS|ALL|NO)_PROXY$)/i;
const OWN = /^RAWORC_(?:HOME|DATA_DIR|SERVER|TOKEN|COMPONENTS|DATABASE_IMAGE)$|^NPM_CONFIG_(?!REGISTRY$)/i;

/** The password of the database's user: made once, and readable by its owner alone. */
export async function databasePassword(path: string): Promise<string> {
  const made = randomBytes(24).toString("base64url");
  await writeFile(path, made, { mode: 0o600, flag: "wx" }).catch((error: unknown) => {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  });
  return (await readFile(path, "utf8")).trim();
}

export function settingsOf(
  environment: Readonly<Record<string, string | undefined>>,
  dataDirectory: string,
  password: string,
): Record<string, string> {
  const handedOn = Object.entries(environment).filter(
    (entry): entry is [string, string] => HANDED_ON.test(entry[0]) && !OWN.test(entry[0]) && Boolean(entry[1]),
  );
  return {
    ...Object.fromEntries(handedOn),
    RAWORC_RUNTIME: "docker",
    RAWORC_DATA_DIR: dataDirectory,
    DATABASE_URL: `mysql://raworc:${encodeURIComponent(password)}@127.0.0.1:${DATABASE_PORT}/${DATABASE_NAME}`,
  };
}

/** Writes settings as Node.js reads them. Throws CommandFailure for a value that can't be written so. */
export async function writeSettings(path: string, settings: Readonly<Record<string, string>>): Promise<void> {
  const lines = Object.entries(settings).map(([name, value]) => {
    const quote = ["'", '"', "`"].find((mark) => !value.includes(mark) && !(mark === '"' && value.includes("\\")));
    if (quote === undefined || /[\r\n]/.test(value)) {
      throw new CommandFailure(`${name} has a line break or each kind of quote, and can't be handed to a container.`);
    }
    return `${name}=${quote}${value}${quote}\n`;
  });
  // The same file as before, which containers of before have.
  await writeFile(path, lines.join(""), { mode: 0o600 });
  await chmod(path, 0o600);
}
