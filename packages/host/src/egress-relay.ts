import { createConnection, createServer, type Server, type Socket } from "node:net";
import { pipeline } from "node:stream";
import { COMPUTER } from "@raworc/contract";

const { hostname, port } = new URL(COMPUTER.egressProxy);

/**
 * The way out of a computer without a network: listens on loopback and carries each connection byte for byte to the
 * control plane's egress proxy. Nothing is decided here.
 */
export function startEgressRelay(): Promise<Server> {
  const relay = createServer({ allowHalfOpen: true }, (near: Socket) => {
    const far = createConnection({ path: `${COMPUTER.socketDirectory}/${COMPUTER.egressSocket}`, allowHalfOpen: true });
    pipeline(near, far, (error) => error && near.destroy());
    pipeline(far, near, (error) => error && far.destroy());
  });
  return new Promise((resolve, reject) => {
    relay.once("error", reject);
    relay.listen(Number(port), hostname, () => resolve(relay));
  });
}
