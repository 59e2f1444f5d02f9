// What a request costs at the least: a Fastify route without hooks that gives the bytes that its parent sends it.
import type { AddressInfo } from "node:net";
import Fastify from "fastify";

interface BareAnswer {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

process.once("message", async ({ headers, path, text }: BareAnswer) => {
  const app = Fastify({ logger: false });
  app.get(path, (_, reply) => reply.headers(headers).send(text));
  await app.listen({ host: "127.0.0.1", port: 0 });
  process.send?.({ port: (app.server.address() as AddressInfo).port });
});
