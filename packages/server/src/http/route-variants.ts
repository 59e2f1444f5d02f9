import type { Route } from "@raworc/contract";

/** Methods that a route is registered under. PATCH is taken as PUT, but for bytes only where they are not ours to understand. */
export function methodsOf({ access, bytes, method }: Route): Route["method"][] {
  const isPassedOn = typeof access === "object" && access.verb === "get";
  return method === "PUT" && (bytes !== true || isPassedOn) ? ["PUT", "PATCH"] : [method];
}

/** Paths of a route below the API's base. A star stands for nothing too, with the slash before it or without. */
export function pathsOf({ path }: Route): string[] {
  return path.endsWith("/*") ? [path.slice(0, -2), path] : [path];
}
