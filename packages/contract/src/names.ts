import { z } from "zod";

/** Spaces' and agents' names. */
export const NAME_PATTERN = /^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$/;
export const USER_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/;

export const Name = z
  .string()
  .regex(NAME_PATTERN, "use 1 to 63 lower-case letters, digits, - and _, with a letter or digit at both ends");
export const UserName = z
  .string()
  .regex(USER_PATTERN, "use 1 to 63 letters, digits, . _ @ -, starting with a letter or digit");
/** UUIDv7 as the server makes it; any UUID is accepted where one is asked for. */
export const Id = z.uuid();
/** RFC 3339 UTC with milliseconds and Z. */
export const Timestamp = z.iso.datetime({ precision: 3 });

export const DEFAULT_SPACE = "default";
