import { API_BASE } from "@raworc/contract";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ControlPlane, openControlPlane } from "../support/control-plane.ts";
import { deployAgents } from "../support/deploy.ts";
import { PROBE_AGENTS } from "../support/probe-agents.ts";
import { Repository } from "../support/repository.ts";
import { describeWith } from "../support/requirements.ts";
import { TestServer } from "../support/test-server.ts";
import { TraceReceiver } from "../support/trace-receiver.ts";

/** Values of a metric by its labels, as they are written. */
function readMetric(text: string, name: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return new Map(lines.map((line) => [line.slice(name.length, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]));
}

describe("who may read the figures", () => {
  let plane: ControlPlane;
  beforeAll(async () => {
    plane = await openControlPlane();
  });
  afterAll(() => plane.close());

  const get = (remoteAddress: string, headers: Record<string, string> = {}) =>
    plane.app.inject({ url: "/metrics", remoteAddress, headers });

  test.each(["127.0.0.1", "::1", "::ffff:127.0.0.1"])("%s needs no token", async (address) => {
    expect((await get(address)).statusCode).toBe(200);
  });

  test("all others need one, also when a proxy here passes them on", async () => {
    const authorization = `Bearer ${await plane.login("operator", "admin")}`;
    for (const [address, headers] of [
      ["10.1.2.3", {}],
      ["127.0.0.1", { "x-forwarded-for": "10.1.2.3" }],
      ["127.0.0.1", { forwarded: "for=10.1.2.3" }],
    ] as const) {
      expect((await get(address, headers)).statusCode).toBe(401);
      expect((await get(address, { ...headers, authorization })).statusCode).toBe(200);
    }
  });
});

describeWith(["sandbox", "python"], "a server that is watched", () => {
  const repository = new Repository(PROBE_AGENTS);
  let receiver: TraceReceiver;
  let server: TestServer;
  beforeAll(async () => {
    receiver = await TraceReceiver.start();
    const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint, OTEL_SERVICE_NAME: "raworc-test" };
    server = await TestServer.start({ runtime: "sandbox", environment });
  });
  afterAll(async () => {
    await server.destroy();
    await receiver.close();
    repository.remove();
  });

  test("counts, logs and traces what it does", async () => {
    const client = await server.client();
    await deployAgents(client, repository.path, { py: "python" });
    const { id } = await client.call("sessions.create", { body: { wait: "ready" } });
    const traceId = "0af7651916cd43dd8448eb211c80319c";
    const requestId = "the-asking-request";
    const { token } = await client.call("auth.login", { body: { user: "admin", pass: "admin" } });
    const post = async (content: string) => {
      const answer = await fetch(`${server.url}${API_BASE}/sessions/${id}/messages`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${token}`,
          "content-type": "application/json",
          "x-request-id": requestId,
          traceparent: `00-${traceId}-b7ad6b7169203331-01`,
        },
        body: JSON.stringify({ content, wait: "reply" }),
      });
      return ((await answer.json()) as { message: { id: string } }).message.id;
    };
    const good = await post("@py echo secret-word");
    const bad = await post("@py throw up");
    await client.call("sessions.get", { params: { id } });
    await client
      .call("sessions.get", { params: { id: "018f0000-0000-7000-8000-000000000000" } })
      .catch(() => undefined);

    const metrics = await fetch(`${server.url}/metrics`);
    expect(metrics.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const text = await metrics.text();
    const requests = readMetric(text, "raworc_http_requests_total");
    const route = `${API_BASE}/sessions/:id`;
    expect(requests.get(`{method="GET",route="${route}",status="200"}`)).toBe(1);
    expect(requests.get(`{method="GET",route="${route}",status="404"}`)).toBe(1);
    const durations = readMetric(text, "raworc_http_request_duration_seconds_bucket");
    expect(durations.get(`{le="+Inf",method="GET",route="${route}",status="200"}`)).toBe(1);
    expect(readMetric(text, "raworc_sessions").get('{state="idle",tier="active"}')).toBe(1);
    const operations = readMetric(text, "raworc_operations_total");
    expect(operations.get('{kind="message",outcome="done"}')).toBe(1);
    expect(operations.get('{kind="message",outcome="failed"}')).toBe(1);
    expect(operations.get('{kind="build",outcome="completed"}')).toBe(1);
    expect(operations.get('{kind="session",outcome="done"}')).toBeGreaterThan(0);
    for (const name of ["raworc_pool_computers", "process_resident_memory_bytes", "nodejs_eventloop_lag_p99_seconds"]) {
      expect(readMetric(text, name).size, name).toBe(1);
    }
    // Nothing in them is of one tenant.
    expect(text).not.toMatch(/default|secret-word|[0-9a-f]{8}-[0-9a-f]{4}-7/);

    const lines = server
      .log()
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const ofMessage = lines.filter((line) => line["msg"] === "message");
    expect(ofMessage).toEqual([
      expect.objectContaining({ message: good, outcome: "done", request_id: requestId, session: id, agent: "py" }),
      expect.objectContaining({ message: bad, outcome: "failed", request_id: requestId, code: "handler_failed" }),
    ]);
    for (const line of ofMessage) expect(line["ms"]).toBeGreaterThan(0);
    expect(lines.filter((line) => line["msg"] === "build")).toEqual([
      expect.objectContaining({ outcome: "completed", agents: 1, request_id: expect.any(String) }),
    ]);
    expect(lines.find((line) => line["msg"] === "session")).toMatchObject({
      session: id,
      outcome: "done",
      steps: expect.stringContaining("start"),
      request_id: expect.any(String),
    });

    expect(await server.stop()).toBe(0);
    expect([...receiver.services]).toEqual(["raworc-test"]);
    const span = (spanName: string, key: string, value: unknown) =>
      receiver.spans.filter(({ attributes, name }) => name === spanName && attributes[key] === value);
    const [request] = span(`POST ${API_BASE}/sessions/:id/messages`, "raworc.request_id", requestId);
    expect(request).toMatchObject({ traceId, parentSpanId: "b7ad6b7169203331", isError: false });
    const [delivery] = span("message", "raworc.message", good);
    expect(delivery).toMatchObject({ traceId, parentSpanId: request?.spanId, isError: false });
    expect(span("message", "raworc.message", bad)).toMatchObject([{ traceId, isError: true }]);
    expect(receiver.spans.filter(({ name }) => name === "build")).toHaveLength(1);
    expect(JSON.stringify(receiver.spans)).not.toContain("secret-word");
    await server.start();
  });
});
