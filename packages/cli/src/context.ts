import { type Client, createClient } from "@raworc/client";
import { DEFAULT_PORT } from "@raworc/contract";
import type { Config } from "./config.ts";
import { LocalContainers } from "./containers/local-containers.ts";
import { CommandFailure, EXIT, UsageFailure } from "./failure.ts";
import { LocalOperator, LocalServer } from "./local-server.ts";
import { type Login, Logins } from "./logins.ts";
import type { Streams } from "./streams.ts";
import { VERSION } from "./version.ts";

export interface ContextOptions {
  readonly config: Config;
  readonly streams: Streams;
  readonly now?: () => number;
}

/** Where a command talks to, and as whom. */
export interface Connection {
  readonly client: Client;
  readonly server: string;
  readonly login: Login | undefined;
}

/** What commands work with. Everything is made when it is asked for, so help touches neither disk nor network. */
export class Context {
  readonly config: Config;
  readonly streams: Streams;
  readonly logins: Logins;
  readonly localServer: LocalServer;
  readonly localOperator: LocalOperator;
  readonly containers: LocalContainers;
  readonly now: () => number;

  constructor({ config, streams, now = Date.now }: ContextOptions) {
    this.config = config;
    this.streams = streams;
    this.logins = new Logins(config);
    this.localServer = new LocalServer(config);
    this.localOperator = new LocalOperator(config);
    this.containers = new LocalContainers(config);
    this.now = now;
  }

  /** The address of the server: from the environment, the last login, the server of this home. */
  async server(): Promise<string> {
    if (this.config.server !== undefined) return normalizeServer(this.config.server);
    const current = await this.logins.current();
    if (current !== undefined) return current;
    const local = await this.localServer.last();
    const url = local?.url ?? (await this.containers.last())?.url;
    return typeof url !== "string" ? `http://127.0.0.1:${DEFAULT_PORT}` : normalizeServer(url);
  }

  /** A client of that server, logged in or not. */
  async connect(): Promise<Connection> {
    const server = await this.server();
    const { token } = this.config;
    const saved = await this.logins.find(server);
    const login = token === undefined ? saved : { user: "", token, expires_at: null };
    return { client: this.clientOf(server, login?.token), server, login };
  }

  /** A client that is logged in. Throws with the exit code for it when nobody is. */
  async client(): Promise<Client> {
    const { client, login, server } = await this.connect();
    if (login === undefined) {
      throw new CommandFailure(`Not logged in to ${server}.`, ["log in with: raworc auth login"], EXIT.notLoggedIn);
    }
    return client;
  }

  clientOf(server: string, token?: string): Client {
    return createClient({ server, token, userAgent: `raworc/${VERSION}` });
  }
}

/** One spelling for each server, so that its login is found. Throws UsageFailure for what is no address. */
export function normalizeServer(text: string): string {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new UsageFailure(`${JSON.stringify(text)} is no server address.`, ["use one such as http://127.0.0.1:9000"]);
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

/** Whether the address is this machine's own. */
export function isLocal(server: string): boolean {
  return ["127.0.0.1", "localhost", "[::1]"].includes(URL.parse(server)?.hostname ?? "");
}
