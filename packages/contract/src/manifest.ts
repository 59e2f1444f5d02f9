import { z } from "zod";

export const MANIFEST_FILE = "raworc.json";
export const RUNTIMES = ["python", "node", "rust"] as const;
export type RuntimeName = (typeof RUNTIMES)[number];

const ALIASES: Record<string, RuntimeName> = {
  python: "python",
  python3: "python",
  node: "node",
  nodejs: "node",
  javascript: "node",
  typescript: "node",
  rust: "rust",
};

/** The runtime that a manifest's name means; `python3.x` counts as python. */
export function runtimeOf(name: string): RuntimeName | undefined {
  const lower = name.toLowerCase();
  if (/^python3\.\d+$/.test(lower)) return "python";
  return Object.hasOwn(ALIASES, lower) ? ALIASES[lower] : undefined;
}

/** `raworc.json` in an agent's folder. Everything can be left out when it can be detected. */
export const Manifest = z.strictObject({
  runtime: z
    .string()
    .refine((name) => runtimeOf(name) !== undefined, "unknown runtime; use python, node or rust")
    .optional(),
  handler: z.string().min(1).max(256).optional(),
  build_command: z.string().min(1).max(8192).optional(),
  description: z.string().max(4096).optional(),
  purpose: z.string().max(4096).optional(),
  timeout_s: z.number().positive().max(86_400).optional(),
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string()).optional(),
  system_packages: z
    .array(z.string().regex(/^[a-z0-9][a-z0-9+.-]+$/))
    .max(100)
    .optional(),
});
export type Manifest = z.infer<typeof Manifest>;

export const AGENT_TIMEOUT_DEFAULT_S = 600;

/** What a build found out about an agent: the manifest with everything filled in. Stored with the artifact. */
export const ResolvedManifest = z.object({
  runtime: z.enum(RUNTIMES),
  handler: z.string(),
  timeout_s: z.number(),
  env: z.record(z.string(), z.string()),
  /** How the worker is started, below the agent's folder: a venv's python, a Rust program. */
  kind: z.enum(["worker", "binary"]),
  /** Program of a Rust agent, relative to the agent's folder. */
  program: z.string().optional(),
});
export type ResolvedManifest = z.infer<typeof ResolvedManifest>;
