export { HOST_NODE_FLAGS, type HostFlags } from "./node-flags.ts";
