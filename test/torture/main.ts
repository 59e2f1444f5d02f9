import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { torture } from "./torture.ts";

const USAGE =
  "npm run torture -- [--minutes N] [--runtime sandbox|docker] [--database sqlite|mariadb] [--users N] [--seed N] " +
  "[--history] [--log FILE]\n--history prints all that was done, --log keeps what the servers have logged.";

function fail(text: string): never {
  process.stderr.write(`${text}\n${USAGE}\n`);
  process.exit(2);
}

function choice<const T extends string>(name: string, value: string, all: readonly T[]): T {
  return all.find((each) => each === value) ?? fail(`--${name} is one of ${all.join(", ")}`);
}

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    runtime: { type: "string", default: "sandbox" },
    database: { type: "string", default: "sqlite" },
    users: { type: "string", default: "8" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
    history: { type: "boolean", default: false },
    log: { type: "string" },
  },
});
const minutes = Number(values.minutes);
const users = Number(values.users);
const seed = Number(values.seed);
if (!(minutes > 0)) fail("--minutes is a number above 0");
if (!Number.isInteger(users) || users < 1) fail("--users is a whole number above 0");
if (!Number.isInteger(seed) || seed < 0) fail("--seed is a whole number");
const runtime = choice("runtime", values.runtime, ["sandbox", "docker"]);
const database = choice("database", values.database, ["sqlite", "mariadb"]);

process.stdout.write(`torture: ${minutes} minutes, ${runtime}, ${database}, ${users} users, seed ${seed}\n`);
const history = await torture({ runtime, database, seconds: minutes * 60, seed, users });
if (values.log !== undefined) writeFileSync(values.log, `${history.serverLog.join("\n")}\n`);
const failed = history.violations.length > 0;
if (failed || values.history) process.stdout.write(`${history.lines().join("\n")}\n`);
for (const [action, count] of Object.entries(history.counts())) process.stdout.write(`${action}: ${count}\n`);
if (failed) process.stdout.write(`${history.violations.length} promises broken; repeat with --seed ${seed}\n`);
else process.stdout.write("every promise held\n");
process.exitCode = failed ? 1 : 0;
