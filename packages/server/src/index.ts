export { SERVER_NODE_FLAGS, type ServerFlags } from "./node-flags.ts";
