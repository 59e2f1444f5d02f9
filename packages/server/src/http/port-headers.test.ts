import { expect, test } from "vitest";
import { answerHeaders, requestHeaders } from "./port-headers.ts";

const address = { port: 3000, prefix: "/api/v0/sessions/s/ports/3000" };

test("a program inside gets nothing of ours, and nothing of our connection", () => {
  const headers = {
    authorization: "Bearer secret",
    cookie: "a=b",
    host: "raworc.example",
    connection: "keep-alive, x-hop",
    "x-hop": "1",
    te: "trailers",
    accept: "text/html",
  };
  expect(requestHeaders(headers, address, "https")).toEqual({
    accept: "text/html",
    host: "localhost:3000",
    "x-forwarded-host": "raworc.example",
    "x-forwarded-prefix": address.prefix,
    "x-forwarded-proto": "https",
  });
});

test("its answer can say nothing about our origin", () => {
  const headers = {
    "set-cookie": ["a=b"],
    "service-worker-allowed": "/",
    "clear-site-data": "*",
    "access-control-allow-origin": "*",
    "www-authenticate": "Basic",
    "content-type": "text/html",
    "content-security-policy": "default-src *",
    etag: "x",
  };
  expect(answerHeaders(headers, address)).toEqual({
    "content-type": "text/html",
    "content-security-policy": expect.stringMatching(/^default-src \*, sandbox (?!.*allow-same-origin)/),
    etag: "x",
  });
});

test.each([
  ["/login?x=1", `${address.prefix}/login?x=1`],
  [`${address.prefix}/login`, `${address.prefix}/login`],
  ["http://localhost:3000/a#b", `${address.prefix}/a#b`],
  ["http://localhost:4000/a", "http://localhost:4000/a"],
  ["//elsewhere/a", "//elsewhere/a"],
  ["next", "next"],
])("a redirect to %s leads to %s", (location, expected) => {
  expect(answerHeaders({ location }, address)["location"]).toBe(expected);
});
