import { createHmac, hash, hkdfSync } from "node:crypto";
import type { EncryptionKey } from "./keys.ts";

/** What the hash of a link is over, in this order. */
export const CHAINED_FIELDS = [
  "seq",
  "id",
  "created_at",
  "principal",
  "principal_id",
  "action",
  "resource",
  "name",
  "space",
  "space_id",
  "outcome",
  "request_id",
  "address",
  "details",
  "prev_hash",
] as const;

export type ChainedFields = Readonly<Record<(typeof CHAINED_FIELDS)[number], string | number | null>>;

/** SHA-256 in hex over the fields as a JSON array: no two different links have the same text. */
export function hashLink(link: ChainedFields): string {
  return hash("sha256", JSON.stringify(["raworc-audit-1", ...CHAINED_FIELDS.map((field) => link[field])]), "hex");
}

/** The count of links and the hash of the newest. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: string;
}

/** Seals heads under a key, so that nobody without it can make a shorter chain look whole. */
export class HeadSealer {
  readonly #keys = new Map<string, Buffer>();

  seal(head: ChainHead, key: EncryptionKey): string {
    return createHmac("sha256", this.#keyFrom(key)).update(`${head.seq} ${head.hash} ${key.id}`).digest("hex");
  }

  #keyFrom(key: EncryptionKey): Buffer {
    const known = this.#keys.get(key.id);
    if (known !== undefined) return known;
    const derived = Buffer.from(hkdfSync("sha256", key.bytes, "", "raworc audit head", 32));
    this.#keys.set(key.id, derived);
    return derived;
  }
}
