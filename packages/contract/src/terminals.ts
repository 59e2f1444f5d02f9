import { z } from "zod";

/** Bytes of a terminal's output that a viewer who comes later is shown. */
export const SCROLLBACK_BYTES = 256 * 1024;
/** Of one session at the same time. */
export const TERMINALS_MAX = 16;
export const VIEWERS_MAX = 16;
export const TERMINAL_SIDE_MAX = 1000;

/** The WebSocket's subprotocol. A browser, which can't set headers, offers its token beside it: `bearer.<token>`. */
export const TERMINAL_PROTOCOL = "raworc.terminal";
export const BEARER_PROTOCOL = "bearer.";

const Side = z.coerce.number().int().min(1).max(TERMINAL_SIDE_MAX);

export const TerminalQuery = z.strictObject({
  /** A terminal that is there is looked on, another is made. */
  id: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "letters, digits, '.', '_' and '-'")
    .default("main"),
  /** Size of the viewer's screen, which the terminal takes. */
  cols: Side.optional(),
  rows: Side.optional(),
});
export type TerminalQuery = z.infer<typeof TerminalQuery>;

/** A text frame from the viewer. Binary frames are what is typed. */
export const TerminalResize = z.object({
  type: z.literal("resize"),
  cols: z.number().int().min(1).max(TERMINAL_SIDE_MAX),
  rows: z.number().int().min(1).max(TERMINAL_SIDE_MAX),
});
export type TerminalResize = z.infer<typeof TerminalResize>;

/** A text frame to the viewer, the last one. Binary frames are what is shown. */
export const TerminalExit = z.object({ type: z.literal("exit"), exit_code: z.number().int() });
export type TerminalExit = z.infer<typeof TerminalExit>;

/** Why a terminal's WebSocket was closed by the server. */
export const TERMINAL_CLOSE = {
  /** The terminal has ended; the exit came before. */
  ended: 1000,
  /** A frame that is none of these, or too large. */
  badFrame: 1008,
  /** The viewer was too slow, or the computer rests or is gone: connect again. */
  again: 1013,
} as const;
