import { lookup } from "node:dns/promises";
import { chmod, rm } from "node:fs/promises";
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  request as startRequest,
} from "node:http";
import { connect, isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Network } from "@raworc/contract";
import type { Logger } from "pino";
import { isPublicAddress } from "./egress-address.ts";

export interface EgressOptions {
  readonly log: Logger;
  /** Hosts of package mirrors and proxies from the server's configuration; they may have private addresses. */
  readonly mirrorHosts: readonly string[];
  /** `http://host:port` of a proxy that all connections to other machines go through. */
  readonly upstream?: string | undefined;
}

interface Served {
  readonly server: Server;
  readonly sockets: Set<Duplex>;
}

/** Where a computer may connect to, decided. `address` is what was checked: no name is resolved twice. */
interface Destination {
  readonly host: string;
  readonly port: number;
  readonly address: string;
}

class Refusal extends Error {
  override readonly name = "Refusal";
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const CONNECT_TIMEOUT_MS = 30_000;
const LOOKUP_TIMEOUT_MS = 10_000;
/** Open connections of one computer. */
const CONNECTIONS_MAX = 512;
const WEB_PORTS: ReadonlySet<number> = new Set([80, 443]);
const HOP_HEADERS = ["proxy-connection", "proxy-authorization", "connection", "keep-alive", "te", "upgrade"];

/**
 * The only way out of computers whose network is closed: an HTTP proxy on a Unix socket of each. It decides by name, and by
 * the address that the name has at this moment; mode `open` reaches public addresses, `allowlist` the listed names there.
 */
export class EgressProxy {
  readonly #options: EgressOptions;
  readonly #served = new Map<string, Served>();

  constructor(options: EgressOptions) {
    this.#options = options;
  }

  /** Makes the socket anew and serves it by these rules. What the computer had open before is cut. */
  async serve(id: string, socketPath: string, network: Network): Promise<void> {
    await this.end(id);
    const sockets = new Set<Duplex>();
    const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 });
    this.#served.set(id, { server, sockets });
    server.maxConnections = CONNECTIONS_MAX;
    server.on("connection", (socket) => keep(sockets, socket));
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      this.#forward(id, network, request, response).catch((error: unknown) => {
        if (response.headersSent) response.destroy();
        else response.writeHead(statusOf(error), { "content-type": "text/plain" }).end(`${textOf(error)}\n`);
      });
    });
    server.on("connect", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on("error", () => socket.destroy());
      this.#tunnel(id, network, request, socket, head, sockets).catch((error: unknown) => {
        const body = `${textOf(error)}\n`;
        socket.end(
          `HTTP/1.1 ${statusOf(error)} Refused\r\ncontent-type: text/plain\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
        );
      });
    });
    await rm(socketPath, { force: true });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(socketPath, () => {
        server.off("error", reject);
        resolve();
      });
    });
    server.on("error", (error) => this.#options.log.warn({ err: error, computer: id }, "egress socket failed"));
    // Its directory is entered by the computer's host alone; the host has another uid on this machine.
    await chmod(socketPath, 0o666);
  }

  /** Closes the way out of one computer. Idempotent. */
  async end(id: string): Promise<void> {
    const served = this.#served.get(id);
    if (served === undefined) return;
    this.#served.delete(id);
    for (const socket of served.sockets) socket.destroy();
    await new Promise<void>((resolve) => served.server.close(() => resolve()));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#served.keys()].map((id) => this.end(id)));
  }

  async #tunnel(
    id: string,
    network: Network,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    sockets: Set<Duplex>,
  ): Promise<void> {
    const { host, port } = parseAuthority(request.url ?? "");
    const destination = await this.#decide(id, network, host, port);
    const remote = await this.#connect(destination);
    keep(sockets, remote);
    if (socket.destroyed) {
      remote.destroy();
      return;
    }
    socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
    if (head.length > 0) remote.write(head);
    remote.pipe(socket);
    socket.pipe(remote);
    remote.on("error", () => socket.destroy());
    remote.on("close", () => socket.destroy());
    socket.on("close", () => remote.destroy());
  }

  async #forward(id: string, network: Network, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = URL.parse(request.url ?? "");
    if (url === null || url.protocol !== "http:") {
      throw new Refusal(400, "This is an HTTP proxy: ask it for http://… addresses, or for a tunnel by CONNECT.");
    }
    const destination = await this.#decide(id, network, bare(url.hostname), Number(url.port || "80"));
    const remote = await this.#connect(destination);
    const headers = { ...request.headers };
    for (const name of HOP_HEADERS) delete headers[name];
    headers.host = url.host;
    const call = startRequest({
      createConnection: () => remote,
      method: request.method,
      path: `${url.pathname}${url.search}`,
      headers: { ...headers, connection: "close" },
    });
    call.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      answer.pipe(response);
      answer.on("error", () => response.destroy());
    });
    call.on("error", () => {
      if (response.headersSent) response.destroy();
      else response.writeHead(502, { "content-type": "text/plain" }).end(`${destination.host} broke off.\n`);
    });
    response.on("close", () => remote.destroy());
    request.pipe(call);
  }

  async #decide(id: string, network: Network, host: string, port: number): Promise<Destination> {
    const mirror = this.#options.mirrorHosts.includes(host);
    const refuse = (why: string): Refusal => {
      this.#options.log.debug({ computer: id, host, port, why }, "egress refused");
      return new Refusal(403, `Raworc refuses a connection to ${host}:${port}: ${why}.`);
    };
    if (network.mode === "none") throw refuse("this computer has no network");
    if (network.mode === "allowlist" && !mirror) {
      if (!WEB_PORTS.has(port)) throw refuse("only the ports 80 and 443 are open to it");
      if (!isAllowed(host, network.allow ?? [])) throw refuse("the host is not in the network's allow list");
    }
    const addresses = await resolveHost(host);
    const good = mirror ? addresses : addresses.filter(isPublicAddress);
    // One private address among public ones is a trick, not a mistake.
    const [address] = good.length === addresses.length ? good : [];
    if (address === undefined) throw refuse("its address is private, or this machine's own");
    return { host, port, address };
  }

  async #connect({ host, port, address }: Destination): Promise<Socket> {
    const { upstream } = this.#options;
    if (upstream === undefined) return connectTo({ host: address, port }, `${host}:${port}`);
    const proxy = new URL(upstream);
    const socket = await connectTo({ host: bare(proxy.hostname), port: Number(proxy.port || "80") }, "the proxy");
    return tunnelThrough(socket, host, port, proxy);
  }
}

function keep(sockets: Set<Duplex>, socket: Duplex): void {
  sockets.add(socket);
  socket.on("error", () => socket.destroy());
  socket.on("close", () => sockets.delete(socket));
}

/** Whether a name is listed, or below a listed `*.name`. */
export function isAllowed(host: string, allow: readonly string[]): boolean {
  const name = host.toLowerCase().replace(/\.$/, "");
  return allow.some((entry) => {
    const listed = entry.toLowerCase();
    return listed.startsWith("*.") ? name.endsWith(listed.slice(1)) : name === listed;
  });
}

function parseAuthority(text: string): { host: string; port: number } {
  const [, host, port] = /^(\[[0-9a-f:.]+\]|[^:/@\s]+):(\d{1,5})$/i.exec(text) ?? [];
  if (host === undefined || Number(port) > 65_535 || Number(port) < 1) {
    throw new Refusal(400, "CONNECT takes host:port.");
  }
  return { host: bare(host).toLowerCase(), port: Number(port) };
}

function bare(host: string): string {
  return host.replace(/^\[|\]$/g, "");
}

async function resolveHost(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  const late = new Promise<never>((_, reject) => {
    setTimeout(
      () => reject(new Refusal(504, `The name ${host} could not be resolved in time.`)),
      LOOKUP_TIMEOUT_MS,
    ).unref();
  });
  try {
    const found = await Promise.race([lookup(host, { all: true }), late]);
    // Addresses of the older family first: many machines have no route for the newer one.
    return found.toSorted((one, other) => one.family - other.family).map(({ address }) => address);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(502, `The host ${host} was not found.`);
  }
}

function connectTo(where: { host: string; port: number }, name: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...where, noDelay: true });
    const fail = (reason: string) => {
      socket.destroy();
      reject(new Refusal(502, `${name} can't be reached: ${reason}.`));
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => fail("it does not answer"));
    socket.once("error", (error: NodeJS.ErrnoException) => fail(error.code ?? "it broke off"));
    socket.once("connect", () => {
      socket.setTimeout(0);
      socket.removeAllListeners("error");
      socket.on("error", () => socket.destroy());
      resolve(socket);
    });
  });
}

/** Asks a company's proxy for a tunnel. */
function tunnelThrough(socket: Socket, host: string, port: number, proxy: URL): Promise<Socket> {
  const login = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  const authorization =
    proxy.username === "" ? {} : { "proxy-authorization": `Basic ${Buffer.from(login).toString("base64")}` };
  return new Promise((resolve, reject) => {
    const call = startRequest({
      createConnection: () => socket,
      method: "CONNECT",
      path: `${isIP(host) === 6 ? `[${host}]` : host}:${port}`,
      headers: { host: `${host}:${port}`, ...authorization },
    });
    call.on("connect", (answer, tunnel, head) => {
      if (answer.statusCode !== 200) {
        tunnel.destroy();
        reject(new Refusal(502, `The proxy refuses ${host}:${port} with status ${answer.statusCode}.`));
        return;
      }
      if (head.length > 0) tunnel.unshift(head);
      resolve(tunnel as Socket);
    });
    call.on("error", () => reject(new Refusal(502, "The proxy broke off.")));
    call.end();
  });
}

function statusOf(error: unknown): number {
  return error instanceof Refusal ? error.status : 502;
}

function textOf(error: unknown): string {
  return error instanceof Refusal ? error.message : "The connection failed.";
}
