import { statfsSync } from "node:fs";
import { COMPUTER } from "@raworc/contract";
import type { AgentProcesses } from "./agent-process.ts";
import { RequestError } from "./requests.ts";
import { type Call, sendJson } from "./server.ts";

const OUTPUT_MAX = 64;

/** Bytes that the volume holds: of its file system where that is its own, else of all its files together. */
export async function sendUsage(processes: AgentProcesses, { response, url }: Call): Promise<void> {
  if (url.searchParams.get("sized") !== "true") {
    sendJson(response, { disk_bytes: await countFiles(processes) });
    return;
  }
  const { bfree, blocks, bsize } = statfsSync(COMPUTER.session);
  sendJson(response, { disk_bytes: (blocks - bfree) * bsize });
}

/** By a program of the agent: what that may not read is not counted, which is little. */
async function countFiles(processes: AgentProcesses): Promise<number> {
  const started = await processes.start({
    words: ["du", "-s", "-x", "--block-size=1", COMPUTER.session],
    cwd: "/",
    environment: { PATH: "/usr/local/bin:/usr/bin:/bin", LANG: "C" },
    descriptors: ["ignore", "output", "ignore"],
  });
  let text = "";
  const output = started.output(1);
  output.on("data", (piece: Buffer) => {
    if (text.length < OUTPUT_MAX) text += piece.toString("latin1");
  });
  await new Promise<void>((resolve, reject) => {
    output.once("close", resolve);
    output.once("end", resolve);
    started.child.once("error", reject);
  });
  const bytes = Number(/^\d+/.exec(text)?.[0]);
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new RequestError(503, "not_ready", "The session's files could not be counted now; try again.");
}
