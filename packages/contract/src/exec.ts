import { z } from "zod";
import { COMPUTER } from "./computer.ts";

export const EXEC_TIMEOUT_DEFAULT_S = 60;
export const EXEC_TIMEOUT_MAX_S = 3600;
/** Of each stream, in a JSON answer. */
export const EXEC_OUTPUT_MAX_BYTES = 10 * 1024 * 1024;

export const ExecRequest = z.strictObject({
  /** A text goes to `sh -c`, a list is run as it is. */
  command: z.union([z.string().min(1), z.array(z.string()).min(1)]),
  cwd: z.string().startsWith("/", "use an absolute path inside the computer").max(4096).default(COMPUTER.workspace),
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string()).default({}),
  timeout_s: z.number().positive().max(EXEC_TIMEOUT_MAX_S).default(EXEC_TIMEOUT_DEFAULT_S),
  stdin: z.string().optional(),
});
export type ExecRequest = z.infer<typeof ExecRequest>;

export const Encoding = z.enum(["utf-8", "base64"]);

export const ExecAnswer = z.object({
  stdout: z.string(),
  stderr: z.string(),
  /** Null when a signal ended it. */
  exit_code: z.number().int().nullable(),
  signal: z.string().nullable(),
  timed_out: z.boolean(),
  /** Either stream was longer than EXEC_OUTPUT_MAX_BYTES. */
  truncated: z.boolean(),
  /** Of both streams: base64 when one of them is no text. */
  encoding: Encoding,
});
export type ExecAnswer = z.infer<typeof ExecAnswer>;
