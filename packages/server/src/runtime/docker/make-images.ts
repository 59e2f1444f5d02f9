import { spawn } from "node:child_process";
import { access } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Logger } from "pino";
import { DriverError } from "../driver.ts";
import { ownEnvironment } from "./config.ts";

const SCRIPT = fileURLToPath(new URL("../../../../../scripts/build.sh", import.meta.url));
const MADE_HERE = "raworc_session:dev";

/** Makes the session image where it is one of ours, else pulls it. Its progress goes to the log. Throws DriverError. */
export async function makeImages(sessionImage: string, log: Logger): Promise<void> {
  if (sessionImage !== MADE_HERE) return follow("docker", ["pull", sessionImage], log);
  const there = await access(SCRIPT).then(
    () => true,
    () => false,
  );
  if (there) return follow(SCRIPT, [], log);
  const message = `The image ${sessionImage} is made in a checkout, by scripts/build.sh. Make it there, or set RAWORC_SESSION_IMAGE to one that can be pulled.`;
  throw new DriverError(message, { transient: false });
}

async function follow(program: string, words: readonly string[], log: Logger): Promise<void> {
  const child = spawn(program, words, { env: ownEnvironment(), stdio: ["ignore", "pipe", "pipe"] });
  let last = "";
  const read = async (stream: NodeJS.ReadableStream): Promise<void> => {
    for await (const line of createInterface({ input: stream })) {
      if (line.trim() === "") continue;
      last = line.trim();
      log.info({ line: last.slice(0, 500) }, "making images");
    }
  };
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const code = await Promise.all([ended, read(child.stdout), read(child.stderr)]).then(
    ([status]) => status,
    (error: unknown) => {
      throw new DriverError(`${program} could not be run.`, { cause: error, transient: false });
    },
  );
  if (code === 0) return;
  throw new DriverError(`The images could not be made: ${program} ended with ${code}: ${last.slice(0, 500)}`, {
    transient: false,
  });
}
