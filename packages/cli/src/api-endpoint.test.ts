import { expect, test } from "vitest";
import { methodFor, normalizeEndpoint } from "./api-endpoint.ts";

const ID = "01938f6e-0000-7000-8000-000000000001";

test.each([
  ["sessions", "/sessions"],
  ["/api/v0/sessions?limit=1", "/sessions?limit=1"],
  ["api/v0", "/"],
  ["//health", "/health"],
  ["/api/v01/x", "/api/v01/x"],
])("%s is the endpoint %s", (given, path) => expect(normalizeEndpoint(given)).toBe(path));

test.each([
  ["sessions", "GET"],
  ["auth/login", "POST"],
  ["/auth/logout", "POST"],
  [`sessions/${ID}/pause`, "POST"],
  [`sessions/${ID}/cancel/`, "POST"],
  [`sessions/${ID}`, "GET"],
  [`sessions/${ID}/messages`, "GET"],
  ["spaces/default/build", "POST"],
  ["spaces/default/build/latest", "GET"],
  [`api/v0/spaces/default/build/${ID}/cancel?x=1`, "POST"],
  ["spaces/default/agents/poet/deploy", "POST"],
  ["nothing/like/this", "GET"],
])("%s without a body is %s", (endpoint, method) => {
  expect(methodFor(endpoint, false)).toBe(method);
  expect(methodFor(endpoint, true)).toBe("POST");
});
