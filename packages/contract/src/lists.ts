import { z } from "zod";

export const LIMIT_DEFAULT = 100;
export const LIMIT_MAX = 1000;

/** A switch in a query: `?deleted=true`. */
export const QuerySwitch = z.enum(["true", "false"]).transform((text) => text === "true");

/** Query of every list. Numbers come as text in a query. */
export const ListQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(LIMIT_DEFAULT),
  cursor: z.string().min(1).max(512).optional(),
  /** Deleted ones too, where records of them are kept. */
  deleted: QuerySwitch.default(false),
});
export type ListQuery = z.infer<typeof ListQuery>;

const Label = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}=[^\0]{0,255}$/, "use key=value, with a key of letters, digits, _ . -");

/** Labels that something must have in its metadata: `?label=team=blue`, more than one for all of them. */
export const LabelQuery = z.union([Label, z.array(Label).min(1).max(10)]).transform((labels) =>
  [labels].flat().map((label) => {
    const end = label.indexOf("=");
    return { key: label.slice(0, end), value: label.slice(end + 1) };
  }),
);

/** Free JSON object of the user. */
export const Metadata = z.record(z.string(), z.unknown());
export type Metadata = z.infer<typeof Metadata>;
