// Puts optional packages of other platforms into the lock file that the registry at hand does not carry: without them
// `npm ci` refuses the lock on every machine. Run after `npm install` changed package-lock.json.
import { readFileSync, writeFileSync } from "node:fs";

const OS = { android: "android", darwin: "darwin", linux: "linux", win32: "win32" };
const CPU = { arm64: "arm64", x64: "x64" };

const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const place = `node_modules/${name}`;
    const parts = name.split(/[/-]/);
    const os = parts.find((part) => part in OS);
    const cpu = parts.find((part) => part in CPU);
    if (lock.packages[place] || lock.packages[`${path}/${place}`] || !os || !cpu) continue;
    const libc = os === "linux" ? { libc: [parts.includes("musl") ? "musl" : "glibc"] } : {};
    lock.packages[place] = {
      version,
      cpu: [cpu],
      dev: entry.dev,
      license: entry.license,
      ...libc,
      optional: true,
      os: [os],
    };
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([one], [other]) => (one < other ? -1 : 1)));
writeFileSync("package-lock.json", `${JSON.stringify(lock, null, 2)}\n`);
