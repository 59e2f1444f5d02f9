import { z } from "zod";
import { ListQuery, QuerySwitch } from "./lists.ts";
import { Name, Timestamp } from "./names.ts";

export const SECRET_VALUE_MAX_BYTES = 64 * 1024;

/** Variables that decide how programs are found and started, or that the system sets itself. */
const RESERVED: ReadonlySet<string> = new Set([
  "PATH",
  "HOME",
  "USER",
  "SHELL",
  "TERM",
  "PWD",
  "TMPDIR",
  "NODE_OPTIONS",
  "NODE_PATH",
  "PYTHONPATH",
  "PYTHONHOME",
  "BASH_ENV",
  "ENV",
]);
const RESERVED_PREFIX = /^(LD_|RAWORC_)/;
const PROXY_VARIABLE = /^((HTTP|HTTPS|ALL|NO|FTP)_PROXY|NODE_USE_ENV_PROXY)$/i;

/** Whether a name is kept for the system and can't be a secret's. */
export function isReservedKeyName(name: string): boolean {
  return RESERVED.has(name) || RESERVED_PREFIX.test(name) || PROXY_VARIABLE.test(name);
}

export const KEY_NAME_PATTERN = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
export const KeyName = z
  .string()
  .regex(KEY_NAME_PATTERN, "use the name of an environment variable: letters, digits and _, not starting with a digit")
  .refine((name) => !isReservedKeyName(name), "is a variable that the system sets itself; choose another name");

/** What an environment variable can hold. */
export const SecretValue = z
  .string()
  .refine((value) => value.isWellFormed() && !value.includes("\0"), "must be text without NUL characters")
  .refine(
    (value) => new TextEncoder().encode(value).length <= SECRET_VALUE_MAX_BYTES,
    "is longer than 64 KiB; put long input into a file of the session",
  );

export const Secret = z.object({
  key_name: z.string(),
  space: Name,
  description: z.string(),
  /** Grows by one with each change. */
  version: z.number().int().positive(),
  created_at: Timestamp,
  updated_at: Timestamp,
  created_by: z.string(),
  /** Only where values were asked for, by somebody who may read them. */
  value: z.string().optional(),
});
export type Secret = z.infer<typeof Secret>;

export const CreateSecret = z.strictObject({
  key_name: KeyName,
  value: SecretValue,
  description: z.string().max(4096).default(""),
});

export const UpdateSecret = z.strictObject({
  /** The name itself: secrets can't be renamed. */
  key_name: KeyName.optional(),
  value: SecretValue.optional(),
  description: z.string().max(4096).optional(),
});

export const SecretQuery = z.strictObject({ show_values: QuerySwitch.default(false) });
export const SecretListQuery = ListQuery.extend({ show_values: QuerySwitch.default(false) });
