import { RaworcError } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import type { RegisteredRoute } from "./guard.ts";
import { sendProblem } from "./problems.ts";

function matches(pattern: string, path: string): boolean {
  const expected = pattern.split("/");
  const given = path.split("/");
  if (expected.at(-1) === "*")
    return (
      given.length >= expected.length &&
      matches(expected.slice(0, -1).join("/"), given.slice(0, expected.length - 1).join("/"))
    );
  return (
    expected.length === given.length &&
    expected.every((part, index) => (part.startsWith(":") ? given[index] !== "" : part === given[index]))
  );
}

/** Methods that a path takes, sorted; empty where the path is unknown. */
export function methodsOf(path: string, routes: readonly RegisteredRoute[]): string[] {
  const plain = path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
  const found = routes.filter((route) => matches(route.path, plain)).map((route) => route.method);
  return [...new Set(found)].toSorted();
}

/** 404 for unknown paths, 405 with Allow for known paths under another method. */
export function answerUnknownPaths(fastify: FastifyInstance, routes: readonly RegisteredRoute[]): void {
  fastify.setNotFoundHandler((request, reply) => {
    const path = request.url.split("?", 1)[0] ?? "/";
    const allowed = methodsOf(path, routes);
    if (allowed.length === 0) {
      const detail = "There is no such path. The document at /api/v0/openapi.json lists all calls.";
      return sendProblem(reply, new RaworcError("not_found", detail));
    }
    const detail = `This path takes ${allowed.join(", ")}.`;
    return sendProblem(reply.header("allow", allowed.join(", ")), new RaworcError("method_not_allowed", detail));
  });
}
