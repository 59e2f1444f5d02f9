import { randomUUIDv7 } from "node:crypto";
import { Builder, type BuilderSpec, type BuilderSurroundings } from "./builder.ts";
import { readLocalReference } from "./local-reference.ts";
import { type ResolvedSource, resolveSource } from "./resolve-source.ts";
import type { SourceAccess } from "./source-access.ts";

export interface SourceResolverOptions extends BuilderSurroundings {
  readonly spaceId: string;
  readonly limits: BuilderSpec["limits"];
  readonly environment: Readonly<Record<string, string>>;
  readonly onLine: (line: string) => Promise<void>;
  readonly signal: AbortSignal;
}

const HASH = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/i;

/**
 * Finds the commits of one build's agents: the same repository and branch is asked once, so agents of one repository are
 * of one commit. Remote repositories are asked from one builder, which is started when the first one needs it; what a
 * local repository's files tell needs none.
 */
export class SourceResolver {
  readonly #options: SourceResolverOptions;
  readonly #found = new Map<string, Promise<ResolvedSource>>();
  #shared: Promise<Builder> | undefined;

  constructor(options: SourceResolverOptions) {
    this.#options = options;
  }

  /** Throws BuildFailure `source_not_found`, DriverError, or the signal's reason. */
  resolve(source: SourceAccess, branch: string | null): Promise<ResolvedSource> {
    const key = JSON.stringify([source.name, branch]);
    const known = this.#found.get(key);
    if (known !== undefined) return known;
    const found = this.#resolve(source, branch);
    this.#found.set(key, found);
    return found;
  }

  /** Idempotent, never throws. Comes after all calls of `resolve` have ended. */
  async close(): Promise<void> {
    const builder = await this.#shared?.catch(() => undefined);
    await builder?.close();
  }

  async #resolve(source: SourceAccess, branch: string | null): Promise<ResolvedSource> {
    if (branch !== null && HASH.test(branch)) return { commit: branch.toLowerCase(), reference: null };
    if (source.local === null) {
      this.#shared ??= this.#open([]);
      return this.#ask(await this.#shared, source, branch);
    }
    const known = await readLocalReference(source.local, branch);
    if (known !== undefined) return known;
    const builder = await this.#open(source.mounts);
    try {
      return await this.#ask(builder, source, branch);
    } finally {
      await builder.close();
    }
  }

  #open(mounts: BuilderSpec["mounts"]): Promise<Builder> {
    const { limits, signal, spaceId } = this.#options;
    return Builder.open(this.#options, { id: randomUUIDv7(), spaceId, limits, mounts }, signal);
  }

  #ask(computer: Builder, source: SourceAccess, branch: string | null): Promise<ResolvedSource> {
    const { environment, onLine, signal } = this.#options;
    return resolveSource({ computer, environment, onLine, signal }, { source, branch });
  }
}
