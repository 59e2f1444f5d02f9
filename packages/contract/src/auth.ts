import { z } from "zod";
import { Timestamp } from "./names.ts";

export const LoginRequest = z.strictObject({ user: z.string().min(1).max(256), pass: z.string().min(1).max(1024) });
export type LoginRequest = z.infer<typeof LoginRequest>;

export const LoginAnswer = z.object({
  token: z.string(),
  token_type: z.literal("Bearer"),
  expires_at: Timestamp,
  user: z.string(),
});
export type LoginAnswer = z.infer<typeof LoginAnswer>;

export const Permission = z.object({
  space: z.string().nullable(),
  api_groups: z.array(z.string()),
  resources: z.array(z.string()),
  verbs: z.array(z.string()),
  resource_names: z.array(z.string()).optional(),
});
export type Permission = z.infer<typeof Permission>;

export const Me = z.object({
  user: z.string(),
  type: z.literal("ServiceAccount"),
  space: z.string().nullable(),
  roles: z.array(z.string()),
  permissions: z.array(Permission),
});
export type Me = z.infer<typeof Me>;
