import type { Store } from "../store/store.ts";
import type { AuditLog } from "./audit-log.ts";
import { noteToWrite, withNote } from "./audit-note.ts";

/**
 * The store as the control plane uses it: the first change that a call makes carries the call's audit event in the same
 * transaction, so neither is ever there without the other. Changes outside of calls are the system's own and carry none.
 */
export function auditedStore(store: Store, audit: AuditLog): Store {
  return {
    read: store.read,
    check: (milliseconds) => store.check(milliseconds),
    close: () => store.close(),
    write: async (work) => {
      // Asked for here, since the work runs in the context of whoever has started the queue.
      const note = noteToWrite();
      if (note === undefined) return store.write(work);
      const { companion } = note;
      const { result, head } = await store.write(async (transaction) => {
        await companion?.before(transaction);
        const done = await withNote(note, () => work(transaction));
        await companion?.after(transaction);
        return { result: done, head: await audit.append(transaction, note.toEntry("allowed")) };
      });
      note.written = true;
      companion?.committed(true);
      audit.committed(head);
      return result;
    },
  };
}
