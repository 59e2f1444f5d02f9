import { existsSync, readFileSync, statSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Failure } from "./connection.mjs";

const ENDINGS = ["", ".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"];
const REMEDY = "Set handler in raworc.json to module.export.";

/** What `module.export` names. Throws Failure, or what the agent's code throws on import. */
export async function load(path, handler) {
  const { module, member } = split(handler);
  const file = find(path, module);
  if (file === undefined) {
    throw new Failure(
      "handler_not_found",
      `The handler ${handler} is not there: there is no file ${module}.js, .mjs, .cjs or .ts in the agent's folder. ${REMEDY}`,
    );
  }
  if (/\.[mc]?ts$/.test(file)) resolveLikeTypeScript();
  const namespace = await import(pathToFileURL(file).href);
  const found = pick(namespace, member);
  if (found !== undefined) return found;
  throw new Failure(
    "handler_not_found",
    `The handler ${handler} is not there: ${file.slice(path.length + 1)} does not export ${member || "a default"}. ` +
      `It exports: ${names(namespace).join(", ") || "nothing"}. ${REMEDY}`,
  );
}

function split(handler) {
  const dot = handler.lastIndexOf(".");
  const last = handler.slice(dot + 1);
  if (dot <= 0 || last.includes("/") || ENDINGS.includes(`.${last}`)) return { module: handler, member: "" };
  return { module: handler.slice(0, dot), member: last };
}

function find(path, module) {
  const candidates = [module, `${module}/index`, `src/${module}`].flatMap((base) => ENDINGS.map((end) => base + end));
  if (module === "index") candidates.push(mainOf(path));
  return candidates.map((candidate) => join(path, candidate)).find(isFile);
}

/** What the package itself calls its main file. */
function mainOf(path) {
  const file = join(path, "package.json");
  if (!existsSync(file)) return "index.js";
  const { main } = JSON.parse(readFileSync(file, "utf8"));
  return typeof main === "string" ? main : "index.js";
}

function isFile(path) {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** The export of that name, of an ES module or of CommonJS; else the default export. */
function pick(namespace, member) {
  const whole = namespace.default;
  if (member !== "") {
    if (namespace[member] !== undefined) return namespace[member];
    if (isObject(whole) && whole[member] !== undefined) return whole[member];
  }
  // What a compiler made of `export default` is one level deeper.
  const inner = isObject(whole) && whole.__esModule ? whole.default : whole;
  if (typeof inner === "function") return inner;
  return isObject(inner) && Object.getPrototypeOf(inner) !== Object.prototype ? inner : undefined;
}

function names(namespace) {
  const inner = isObject(namespace.default) ? Object.keys(namespace.default) : [];
  return [...new Set([...Object.keys(namespace), ...inner])].filter((name) => name !== "module.exports");
}

function isObject(value) {
  return (typeof value === "object" || typeof value === "function") && value !== null;
}

/** TypeScript is written with imports of `./x.js`, or of `./x`, where the file is `x.ts`. */
function resolveLikeTypeScript() {
  registerHooks({
    resolve(specifier, context, next) {
      try {
        return next(specifier, context);
      } catch (error) {
        if (!/^\.{1,2}\//.test(specifier)) throw error;
        const base = specifier.replace(/\.([mc]?)js$/, ".$1ts");
        for (const candidate of base === specifier ? [`${base}.ts`, `${base}/index.ts`] : [base]) {
          try {
            return next(candidate, context);
          } catch {
            // The first error tells more.
          }
        }
        throw error;
      }
    },
  });
}
