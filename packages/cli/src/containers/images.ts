import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { CommandFailure } from "../failure.ts";
import { type Engine, faultIn } from "./engine.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const DATABASE_IMAGE = "mysql:8.0";
const SERVER_IMAGE = "raworc_server:dev";
const SCRIPT = fileURLToPath(new URL("../../../../scripts/build-server.sh", import.meta.url));

/** The database's image, pulled where it is not there. Throws CommandFailure. */
export async function ensureDatabaseImage(
  engine: Engine,
  environment: Environment,
  onProgress: (text: string) => void,
): Promise<string> {
  const image = environment["RAWORC_DATABASE_IMAGE"] || DATABASE_IMAGE;
  if ((await engine.ask(["image", "inspect", image])).code === 0) return image;
  onProgress(`Pulling ${image}...`);
  const { code, err } = await engine.ask(["pull", "--quiet", image]);
  if (code === 0) return image;
  throw new CommandFailure(`The database's image ${image} is not here and can't be pulled: ${faultIn(err)}`, [
    "name one that is here, of MySQL 8 or MariaDB from 10.6: RAWORC_DATABASE_IMAGE=…",
    "or start without containers: raworc start",
  ]);
}

/** The image of server and operator, made where it is not of this checkout. Throws CommandFailure. */
export async function ensureServerImage(
  engine: Engine,
  environment: Environment,
  onProgress: (text: string) => void,
): Promise<string> {
  if (!existsSync(SCRIPT)) {
    if ((await engine.ask(["image", "inspect", SERVER_IMAGE])).code === 0) return SERVER_IMAGE;
    throw new CommandFailure(`The image ${SERVER_IMAGE} is missing.`, [
      "make it in a checkout: scripts/build-server.sh",
    ]);
  }
  onProgress("Making the image of server and operator...");
  const child = spawn(SCRIPT, { env: { ...environment }, stdio: ["ignore", "pipe", "pipe"] });
  const closed = once(child, "close") as Promise<[number | null]>;
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  if (code === 0) return SERVER_IMAGE;
  const lines = `${out}\n${err}`.trim().split("\n").slice(-10);
  throw new CommandFailure(`The image ${SERVER_IMAGE} could not be made.`, lines);
}
