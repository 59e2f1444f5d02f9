import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as after, setImmediate as nextTurn } from "node:timers/promises";

/** Passes over the process table before a tree that forks faster than it is killed is left to the computer's own limits. */
const PASSES_MAX = 1000;
/** Milliseconds that killed processes are waited for: the kernel takes their memory back first, and tells nobody when. */
const GONE_WITHIN_MS = 500;

/**
 * Kills everything that came from one started process. A process group does not hold children that open a session of
 * their own, and parents are lost when they end. So everything started bears a mark that no child can shed: its own hard
 * limit of the resident set, which the kernel keeps and hands on, anyone may read, and nothing has obeyed since Linux 2.4.
 *
 * A process with a kill pending can't fork any more: once a pass finds nobody new, nobody is left. Resolves when they are gone.
 */
export async function killTree(mark: number, group: number | undefined): Promise<void> {
  const killed = new Set<number>();
  for (let pass = 0; pass < PASSES_MAX; pass += 1) {
    const found = findTree(mark, group).filter((pid) => !killed.has(pid));
    if (found.length === 0) break;
    for (const pid of found) {
      killed.add(pid);
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended meanwhile.
      }
    }
    await nextTurn();
  }
  for (let waited = 0; waited < GONE_WITHIN_MS && [...killed].some((pid) => readRow(pid) !== undefined); waited += 1) {
    await after(1);
  }
}

interface Row {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
}

/** Living processes of a tree: by mark, by group or session, and the children of all these. */
function findTree(mark: number, group: number | undefined): number[] {
  const limit = String(BigInt(mark) * 1024n);
  const rows: Row[] = [];
  const tree = new Set<number>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid || pid === 1) continue;
    const row = readRow(pid);
    if (row === undefined) continue;
    rows.push(row);
    if (row.group === group || row.session === group || bearsMark(pid, limit)) tree.add(pid);
  }
  for (let grown = true; grown; ) {
    grown = false;
    for (const { pid, parent } of rows) {
      if (!tree.has(parent) || tree.has(pid)) continue;
      tree.add(pid);
      grown = true;
    }
  }
  return [...tree];
}

/** Undefined for what ended already, zombies too. */
function readRow(pid: number): Row | undefined {
  const stat = read(`/proc/${pid}/stat`);
  // The name before the last parenthesis may hold anything.
  const [state, parent, group, session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ", 4);
  if (state === undefined || state === "" || state === "Z" || state === "X") return undefined;
  return { pid, parent: Number(parent), group: Number(group), session: Number(session) };
}

function bearsMark(pid: number, limit: string): boolean {
  return /^Max resident set +(\d+)/m.exec(read(`/proc/${pid}/limits`))?.[1] === limit;
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
