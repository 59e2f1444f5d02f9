import { connect, type Socket } from "node:net";

export interface Load {
  readonly port: number;
  /** The whole request, to be sent again and again. */
  readonly request: string;
  readonly connections: number;
  readonly milliseconds: number;
}

export interface LoadResult {
  readonly perSecond: number;
  /** Milliseconds of each request. */
  readonly times: readonly number[];
}

/**
 * Sends one request as often as it is answered, on some connections. Cheap enough not to be what is measured: all answers
 * are as long as the first, so nothing of them is parsed.
 */
export async function runLoad(load: Load): Promise<LoadResult> {
  const bytes = Buffer.from(load.request);
  const times: number[] = [];
  const sockets = await Promise.all(Array.from({ length: load.connections }, () => open(load.port)));
  const start = performance.now();
  const end = start + load.milliseconds;
  await Promise.all(sockets.map((socket) => drive(socket, bytes, end, times)));
  const seconds = (performance.now() - start) / 1000;
  for (const socket of sockets) socket.destroy();
  return { perSecond: times.length / seconds, times };
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => resolve(socket));
    socket.once("error", reject);
  });
}

function drive(socket: Socket, request: Buffer, end: number, times: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let length: number | undefined;
    let received = 0;
    let sentAt = 0;
    const send = (): void => {
      sentAt = performance.now();
      received = 0;
      socket.write(request);
    };
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("The server closed the connection")));
    socket.on("data", (chunk: Buffer) => {
      received += chunk.length;
      if (length === undefined) length = lengthOf(chunk);
      if (received < length) return;
      const now = performance.now();
      times.push(now - sentAt);
      if (now < end) send();
      else resolve();
    });
    send();
  });
}

/** Bytes of an answer whose head is in the chunk. */
function lengthOf(chunk: Buffer): number {
  const text = chunk.toString("latin1");
  const head = text.indexOf("\r\n\r\n");
  const body = /content-length: (\d+)/i.exec(text)?.[1];
  if (!text.startsWith("HTTP/1.1 200") || head === -1 || body === undefined)
    throw new Error(`Not a good answer:\n${text}`);
  return head + 4 + Number(body);
}
