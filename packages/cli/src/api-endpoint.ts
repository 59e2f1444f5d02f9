import { API_BASE, ROUTES, type Route } from "@raworc/contract";

/** An endpoint as people write it: with or without a slash, with or without the base. Gives path and query. */
export function normalizeEndpoint(endpoint: string): string {
  const path = `/${endpoint.replace(/^\/+/, "")}`;
  return path === API_BASE || path.startsWith(`${API_BASE}/`) ? path.slice(API_BASE.length) || "/" : path;
}

/** The method that is meant when none is named: POST with a body or where only POST is taken, else GET. */
export function methodFor(endpoint: string, hasBody: boolean): string {
  if (hasBody) return "POST";
  const path = normalizeEndpoint(endpoint).split(/[?#]/, 1)[0] ?? "";
  const routes: readonly Route[] = Object.values(ROUTES);
  const methods = new Set(routes.filter((route) => matches(route.path, path)).map(({ method }) => method));
  return methods.size === 1 && methods.has("POST") ? "POST" : "GET";
}

/** Whether a path is one that a route's pattern stands for. A fixed segment goes before a parameter, as in the server. */
function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split("/");
  const given = path.replace(/\/+$/, "").split("/");
  return (
    wanted.length === given.length &&
    wanted.every((part, index) => part === given[index] || isParameter(part, given, index))
  );
}

const LITERALS = new Set(["latest", "count"]);

function isParameter(part: string, given: readonly string[], index: number): boolean {
  const value = given[index] ?? "";
  return part.startsWith(":") && value !== "" && !LITERALS.has(value);
}
