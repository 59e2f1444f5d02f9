import { HostLogLine } from "@raworc/contract";
import { DriverError } from "./driver.ts";
import type { HostConnection } from "./host-connection.ts";

export interface LogRequest {
  readonly lines: number;
  /** Of its newest message alone. */
  readonly agent?: string;
  readonly follow: boolean;
}

/**
 * Lines of a computer's logs. `onOpen` is called when the computer has begun to answer: lines that are followed need it no
 * longer awake, and end with it.
 */
export async function* readHostLogs(
  connection: HostConnection,
  { agent, follow, lines }: LogRequest,
  { onOpen, signal }: { readonly onOpen: () => void; readonly signal: AbortSignal },
): AsyncGenerator<HostLogLine> {
  const query = new URLSearchParams({ lines: String(lines), follow: String(follow), ...(agent ? { agent } : {}) });
  const request = { method: "GET", path: `/logs?${query}`, lasting: follow, signal } as const;
  try {
    yield* connection.lines(request, HostLogLine, onOpen);
  } catch (error) {
    if (!follow || !(error instanceof DriverError)) throw error;
    // The computer was stopped. There is no more to follow.
  }
}
