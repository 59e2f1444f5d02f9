import { z } from "zod";

export const API_VERSION = "v0" as const;
export const API_BASE = `/api/${API_VERSION}`;
export const DEFAULT_PORT = 9000;

const Check = z.enum(["ok", "down"]);
export const Health = z.object({
  status: Check,
  checks: z.object({ database: Check, operator: Check, runtime: Check }),
});
export type Health = z.infer<typeof Health>;
export const Version = z.object({ version: z.string(), api: z.literal(API_VERSION) });
export type Version = z.infer<typeof Version>;
