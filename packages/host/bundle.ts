import { createHash } from "node:crypto";
import { chmod, copyFile, cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { build, type Plugin } from "esbuild";
import { HOST_NODE_FLAGS } from "./src/node-flags.ts";

const HERE = import.meta.dirname;
/** Not shipped: they are of the adapters' own tests and tools. */
const LEFT_OUT = /(^|\/)(__pycache__|target|node_modules)(\/|$)|\.test\.[a-z]+$|\.pyc$/;

/**
 * Importing `node:http` reads all that it exports, and so loads what it keeps for later, a whole HTTP client of 6 MiB. Asked
 * for in this way a module of Node.js is loaded without that; of its exports, those that nobody uses fall away.
 */
const lazyBuiltins: Plugin = {
  name: "lazy-builtins",
  setup(bundler) {
    bundler.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: "builtin", sideEffects: false }));
    bundler.onLoad({ filter: /.*/, namespace: "builtin" }, async ({ path }) => {
      const names = Object.keys(await import(path)).filter((name) => name !== "default" && name !== "module.exports");
      return {
        contents: [
          `const $builtin = /* @__PURE__ */ process.getBuiltinModule(${JSON.stringify(path)});`,
          "const $get = (name) => $builtin[name];",
          ...names.map((name) => `export const ${name} = /* @__PURE__ */ $get("${name}");`),
        ].join("\n"),
      };
    });
  },
};

/** The addon that makes pseudo-terminals, prebuilt for the machine's kind of processor; undefined where it is not installed. */
function findTerminalAddon(): string | undefined {
  try {
    const name = `@lydell/node-pty-linux-${process.arch}`;
    return createRequire(import.meta.url).resolve(`${name}/pty.node`);
  } catch {
    return undefined;
  }
}

/**
 * Writes the host's program into a folder: `host.mjs`, `terminal.mjs` with `pty.node`, `adapters/`, and `flags.json`, how Node.js is started for it.
 * The hash is over names and contents.
 */
export async function bundleHost(outDirectory: string): Promise<{ readonly hash: string }> {
  await mkdir(outDirectory, { recursive: true });
  const { version } = JSON.parse(await readFile(join(HERE, "package.json"), "utf8")) as { version: string };
  await build({
    entryPoints: { host: join(HERE, "src/main.ts"), terminal: join(HERE, "src/terminal-program.ts") },
    outdir: outDirectory,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    minify: true,
    plugins: [lazyBuiltins],
    define: { HOST_VERSION: JSON.stringify(version) },
    logLevel: "error",
  });
  const addon = findTerminalAddon();
  if (addon !== undefined) await copyFile(addon, join(outDirectory, "pty.node"));
  await cp(join(HERE, "adapters"), join(outDirectory, "adapters"), {
    recursive: true,
    force: true,
    filter: (source) => !LEFT_OUT.test(source.slice(HERE.length)),
  });
  await writeFile(join(outDirectory, "flags.json"), `${JSON.stringify(HOST_NODE_FLAGS, null, 2)}\n`);
  return { hash: await openAndHash(outDirectory) };
}

/** The agents beside the host read the adapters: everything is open to all for reading. */
async function openAndHash(directory: string): Promise<string> {
  const hash = createHash("sha256");
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries.map((entry) => ({ path: join(entry.parentPath, entry.name), folder: entry.isDirectory() }));
  await chmod(directory, 0o755);
  for (const { path, folder } of paths.sort((a, b) => (a.path < b.path ? -1 : 1))) {
    await chmod(path, folder ? 0o755 : 0o644);
    if (folder) continue;
    const content = await readFile(path);
    hash.update(`${path.slice(directory.length)}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex").slice(0, 32);
}
