/** bundle-host.ts DIRECTORY: puts the host's program there and prints its hash. */
import { mkdir } from "node:fs/promises";
import { bundleHost } from "../packages/host/bundle.ts";

const [directory] = process.argv.slice(2);
if (directory === undefined) throw new Error("use: node scripts/bundle-host.ts DIRECTORY");
await mkdir(directory, { recursive: true });
const { hash } = await bundleHost(directory);
process.stdout.write(`${hash}\n`);
