import { HeadSealer, hashLink } from "../security/audit-chain.ts";
import type { Keyring } from "../security/keyring.ts";
import { readAuditChain, readAuditHead, readLastAuditSeq } from "../store/audit.ts";
import type { Reader } from "../store/store.ts";
import type { Anchor } from "./audit-anchor.ts";

/** What is wrong, and at which event; null where it is about the whole. */
export interface AuditFinding {
  readonly seq: number | null;
  readonly problem: string;
}

export interface AuditVerdict {
  /** Events that were looked at. */
  readonly events: number;
  /** The first of what is wrong; nothing is whole. */
  readonly findings: readonly AuditFinding[];
}

const PAGE = 1000;
const FINDINGS_MAX = 100;

/**
 * Looks at the whole chain: each hash, each link to the one before, the count and the newest hash against the sealed head,
 * and the anchor outside of the database. Events that are added meanwhile do no harm.
 */
export async function verifyAudit(
  reader: Reader,
  keyring: Keyring,
  anchor?: Anchor | "damaged" | undefined,
): Promise<AuditVerdict> {
  const findings: AuditFinding[] = [];
  const find = (seq: number | null, problem: string): void => {
    if (findings.length < FINDINGS_MAX) findings.push({ seq, problem });
  };
  // Before the head: what is added in between is counted by the head too.
  const newest = await readLastAuditSeq(reader);
  const head = await readAuditHead(reader);
  const key = head.key_id === "" ? undefined : await keyring.need(head.key_id).catch(() => undefined);
  if (head.key_id === "") find(null, "the head was never sealed");
  else if (key === undefined) find(null, `the head is sealed with the key ${head.key_id}, which is not here`);
  else if (new HeadSealer().seal(head, key) !== head.seal) find(null, "the head doesn't fit its seal");
  if (newest > head.seq) find(newest, `there are events up to ${newest}, but the head counts ${head.seq}`);

  let last = { seq: 0, hash: "" };
  let events = 0;
  for (;;) {
    const rows = await readAuditChain(reader, { after: last.seq, upTo: Math.max(head.seq, newest), limit: PAGE });
    for (const row of rows) {
      events += 1;
      if (row.seq !== last.seq + 1) find(row.seq, `events ${last.seq + 1} to ${row.seq - 1} are missing`);
      else if (row.prev_hash !== last.hash) find(row.seq, "the event doesn't follow from the one before");
      if (hashLink(row) !== row.hash) find(row.seq, "the event was changed");
      if (row.action === "break" && row.resource === "audit-events")
        find(row.seq, `told by the server: ${row.details}`);
      last = row;
    }
    if (rows.length < PAGE) break;
  }
  if (last.seq < head.seq) find(null, `events after ${last.seq} are missing, the head counts ${head.seq}`);
  else if (last.seq === head.seq && last.hash !== head.hash) find(last.seq, "the newest event is not the head's");
  const problem = await anchorProblem(reader, keyring, anchor);
  if (problem !== undefined) find(null, problem);
  return { events, findings };
}

/** What speaks against the chain from outside of the database, if anything. */
export async function anchorProblem(
  reader: Reader,
  keyring: Keyring,
  anchor: Anchor | "damaged" | undefined,
): Promise<string | undefined> {
  if (anchor === undefined) return undefined;
  if (anchor === "damaged") return "the anchor file is damaged";
  const key = await keyring.need(anchor.key_id).catch(() => undefined);
  // One that another server has written under a key that was replaced since: it says nothing any more.
  if (key === undefined) return undefined;
  if (new HeadSealer().seal(anchor, key) !== anchor.seal) return "the anchor file doesn't fit its seal";
  const [row] = await readAuditChain(reader, { after: anchor.seq - 1, upTo: anchor.seq, limit: 1 });
  if (row === undefined) return `there was an event ${anchor.seq}, which is missing`;
  return row.hash === anchor.hash ? undefined : `the event ${anchor.seq} is another one than there was`;
}
