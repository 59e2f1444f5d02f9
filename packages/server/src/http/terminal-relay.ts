import type { Socket } from "node:net";
import {
  encodeFrame,
  FRAME,
  FRAME_MAX_BYTES,
  FrameReader,
  TERMINAL_CLOSE,
  TERMINAL_PROTOCOL,
  TerminalExit,
  TerminalResize,
} from "@raworc/contract";
import type { FastifyRequest } from "fastify";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import type { TrafficUse } from "../operator/traffic-use.ts";
import type { Heartbeat } from "./heartbeat.ts";
import type { Upgrade } from "./upgrades.ts";

/** Bytes that wait for a viewer: above the first no more is taken from the computer, until the second. */
const WAITING_MOST = 256 * 1024;
const WAITING_FEW = 64 * 1024;
/** Milliseconds that a viewer gets to say goodbye when the server closes. */
const GOODBYE_MS = 1000;

const sockets = new WebSocketServer({
  noServer: true,
  maxPayload: FRAME_MAX_BYTES,
  handleProtocols: (offered) => offered.has(TERMINAL_PROTOCOL) && TERMINAL_PROTOCOL,
});

export interface TerminalRelay {
  /** The computer's end: frames. */
  readonly host: Socket;
  readonly use: TrafficUse;
  readonly heartbeat: Heartbeat;
  /** Aborted when the viewer may no longer look on, or the server stops. */
  readonly signal: AbortSignal;
}

/** Makes the connection a WebSocket, and carries between it and a terminal until one of them ends. */
export function relayTerminal(request: FastifyRequest, { head, socket }: Upgrade, relay: TerminalRelay): void {
  sockets.handleUpgrade(request.raw, socket, head, (viewer) => carry(viewer, relay));
}

function carry(viewer: WebSocket, { heartbeat, host, signal, use }: TerminalRelay): void {
  let isAlive = true;
  const stopBeats = heartbeat.listen(() => {
    if (!isAlive) viewer.terminate();
    isAlive = false;
    viewer.ping();
  });
  const onAbort = (): void => {
    viewer.close(TERMINAL_CLOSE.again, "The server has ended it; connect again");
    setTimeout(() => viewer.terminate(), GOODBYE_MS).unref();
  };
  viewer.on("pong", () => {
    isAlive = true;
  });
  viewer.on("error", () => undefined);
  viewer.once("close", () => {
    stopBeats();
    use.end();
    signal.removeEventListener("abort", onAbort);
    host.destroy();
  });
  signal.addEventListener("abort", onAbort, { once: true });
  showOutput(viewer, host, use);
  takeInput(viewer, host, use);
  if (signal.aborted) onAbort();
}

function showOutput(viewer: WebSocket, host: Socket, use: TrafficUse): void {
  const reader = new FrameReader();
  const onSent = (): void => {
    if (host.isPaused() && viewer.bufferedAmount < WAITING_FEW) host.resume();
  };
  host.on("data", (piece: Buffer) => {
    use.received();
    try {
      for (const { content, kind } of reader.push(piece)) {
        if (kind === FRAME.data) viewer.send(content, { binary: true }, onSent);
        else end(viewer, TerminalExit.parse(JSON.parse(content.toString())));
      }
    } catch {
      // The computer talks nonsense, which is its own doing.
      host.destroy();
    }
    if (viewer.bufferedAmount > WAITING_MOST) host.pause();
  });
  host.once("close", () => viewer.close(TERMINAL_CLOSE.again, "The terminal was cut off; connect again"));
}

function end(viewer: WebSocket, exit: TerminalExit): void {
  viewer.send(JSON.stringify(exit));
  viewer.close(TERMINAL_CLOSE.ended, "The terminal has ended");
}

function takeInput(viewer: WebSocket, host: Socket, use: TrafficUse): void {
  const write = (frame: Buffer): void => {
    if (!host.write(frame)) viewer.pause();
  };
  host.on("drain", () => viewer.resume());
  viewer.on("message", (data: RawData, isBinary: boolean) => {
    const content = Buffer.isBuffer(data) ? data : Buffer.concat([data].flat() as Buffer[]);
    const frame = isBinary ? encodeFrame(FRAME.data, content) : readResize(content);
    if (frame === undefined) {
      const what = 'Text frames are {"type":"resize","cols":…,"rows":…}; what is typed comes in binary ones';
      viewer.close(TERMINAL_CLOSE.badFrame, what);
      return;
    }
    const awake = use.sending();
    if (awake === undefined) {
      write(frame);
      return;
    }
    viewer.pause();
    awake.then(
      () => {
        viewer.resume();
        write(frame);
      },
      () => viewer.close(TERMINAL_CLOSE.again, "The session can't be woken; connect again to see why"),
    );
  });
}

/** Undefined for a text that is none. */
function readResize(content: Buffer): Buffer | undefined {
  try {
    const { cols, rows } = TerminalResize.parse(JSON.parse(content.toString()));
    return encodeFrame(FRAME.control, Buffer.from(JSON.stringify({ type: "resize", cols, rows })));
  } catch {
    return undefined;
  }
}
