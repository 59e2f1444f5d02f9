export type * from "./call.ts";
export * from "./client.ts";
export * from "./errors.ts";
export { nextCursor } from "./pages.ts";
export { RECONNECT, type Reconnect } from "./resuming-stream.ts";
export { type ServerSentEvent, ServerSentEventParser } from "./server-sent-events.ts";
export { SessionFiles } from "./session-files.ts";
export { SessionTerminal, type TerminalEnd, type TerminalOptions } from "./session-terminal.ts";
export { asProblem, isAbort, type RawRequest } from "./transport.ts";
