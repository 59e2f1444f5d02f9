import { rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { bundleHost } from "../packages/host/bundle.ts";

/** Makes what ships: the host's program in packages/host/dist, with its hash beside it. */
const host = fileURLToPath(new URL("../packages/host/dist", import.meta.url));
await rm(host, { recursive: true, force: true });
const { hash } = await bundleHost(host);
await writeFile(`${host}/hash`, `${hash}\n`);
process.stdout.write(`packages/host/dist ${hash}\n`);
