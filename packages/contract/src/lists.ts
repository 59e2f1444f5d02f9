import { z } from "zod";

export const LIMIT_DEFAULT = 100;
export const LIMIT_MAX = 1000;

/** Query of every list. Numbers come as text in a query. */
export const ListQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(LIMIT_DEFAULT),
  cursor: z.string().min(1).max(512).optional(),
});
export type ListQuery = z.infer<typeof ListQuery>;

/** A switch in a query: `?deleted=true`. */
export const QuerySwitch = z.enum(["true", "false"]).transform((text) => text === "true");

/** Free JSON object of the user. */
export const Metadata = z.record(z.string(), z.unknown());
export type Metadata = z.infer<typeof Metadata>;
