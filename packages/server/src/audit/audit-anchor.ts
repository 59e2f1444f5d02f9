import { randomBytes } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { z } from "zod";

const Anchor = z.object({ seq: z.number(), hash: z.string(), key_id: z.string(), seal: z.string() });
/** A head that the chain had at some time. */
export type Anchor = z.infer<typeof Anchor>;

/**
 * A sealed head of the chain, kept outside of the database: the chain must still contain it, so a database that was put
 * back to an earlier state as a whole is found too. It may be some seconds old.
 */
export class AuditAnchor {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Undefined where there is none; `damaged` for a file that isn't ours. */
  async read(): Promise<Anchor | "damaged" | undefined> {
    let text: string;
    try {
      text = await readFile(this.#path, "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      return "damaged";
    }
    try {
      return Anchor.parse(JSON.parse(text));
    } catch {
      return "damaged";
    }
  }

  /** Leaves one that knows more: servers on one machine share the file. */
  async write(anchor: Anchor): Promise<void> {
    const known = await this.read();
    if (known !== undefined && known !== "damaged" && known.seq > anchor.seq) return;
    const draft = `${this.#path}.${randomBytes(6).toString("hex")}`;
    try {
      await writeFile(draft, `${JSON.stringify(anchor)}\n`, { mode: 0o600 });
      await rename(draft, this.#path);
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }
}
