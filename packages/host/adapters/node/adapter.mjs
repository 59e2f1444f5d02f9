// Runs one Node.js agent for the host: JSON-RPC 2.0 by lines, see worker.ts of the contract. What the agent prints goes
// to descriptors 1 and 2, which are its log; the protocol has descriptors 4 and 5.
import { Connection } from "./raworc/connection.mjs";
import { Worker } from "./raworc/worker.mjs";

process.argv.splice(1, 1);
const worker = new Worker(new Connection(4, 5));
worker.serve();
