import { z } from "zod";

/** What a session uses now, and what its messages have used so far. */
export const Usage = z.object({
  /** Since its computer was started last; 0 while none runs. */
  cpu_seconds: z.number().nonnegative(),
  /** Of all its processes, shared memory included; 0 while none runs. */
  memory_bytes: z.number().int().nonnegative(),
  /** Of its volume. Null while its computer rests: it is not woken for this. */
  disk_bytes: z.number().int().nonnegative().nullable(),
  messages: z.number().int().nonnegative(),
  /** As the agents have told. */
  tokens: z.object({ input: z.number().nonnegative(), output: z.number().nonnegative() }),
  /** In the currency in which the agents tell it. */
  cost: z.number().nonnegative(),
});
export type Usage = z.infer<typeof Usage>;

/** What the host knows of its computer's volume. */
export const HostUsage = z.object({ disk_bytes: z.number().int().nonnegative() });
export type HostUsage = z.infer<typeof HostUsage>;
