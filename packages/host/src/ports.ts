import { createConnection, type Socket } from "node:net";
import { pipeline } from "node:stream";
import { COMPUTER } from "@raworc/contract";
import { RequestError } from "./requests.ts";

/** Where programs listen that were not told an address: some take the one, some the other. */
const LOOPBACK = ["127.0.0.1", "::1"] as const;
const PORT_MAX = 65_535;

/** Carries connections to ports of this computer, byte for byte. */
export class Ports {
  readonly #refused: ReadonlySet<number>;

  /** `proxied`: the host itself listens on the egress proxy's port. */
  constructor(proxied: boolean) {
    this.#refused = new Set(proxied ? [Number(new URL(COMPUTER.egressProxy).port)] : []);
  }

  /** Throws RequestError when nothing listens. Gives how to join the connection with another. */
  async connect(id: string): Promise<(far: Socket) => void> {
    const port = /^\d{1,5}$/.test(id) ? Number(id) : 0;
    if (port < 1 || port > PORT_MAX) throw new RequestError(422, "validation_failed", "This is no port");
    if (this.#refused.has(port)) throw new RequestError(403, "forbidden", `Port ${port} is the system's own.`);
    const near = await connectTo(port);
    return (far) => join(near, far);
  }
}

async function connectTo(port: number): Promise<Socket> {
  let reason: unknown;
  for (const host of LOOPBACK) {
    try {
      return await open(host, port);
    } catch (error) {
      reason ??= error;
    }
  }
  const told = reason instanceof Error && "code" in reason ? String(reason.code) : String(reason);
  throw new RequestError(502, "port_unreachable", `Nothing listens on port ${port} of the session (${told}).`);
}

function open(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host, port, allowHalfOpen: true });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
  });
}

function join(near: Socket, far: Socket): void {
  pipeline(near, far, (error) => error && near.destroy());
  pipeline(far, near, (error) => error && far.destroy());
}
