// What a request costs at the least: a Fastify route without hooks that gives the bytes that its parent sends it.
import type { AddressInfo } from "node:net";
import Fastify from "fastify";

process.once("message", async ({ path, text }: { path: string; text: string }) => {
  const app = Fastify({ logger: false });
  app.get(path, (_, reply) => reply.type("application/json; charset=utf-8").send(text));
  await app.listen({ host: "127.0.0.1", port: 0 });
  process.send?.({ port: (app.server.address() as AddressInfo).port });
});
