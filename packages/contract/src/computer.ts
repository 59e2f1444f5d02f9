/** Where things are inside a session computer, with either driver. */
export const COMPUTER = {
  session: "/session",
  workspace: "/session/workspace",
  logs: "/session/logs",
  agents: "/session/agents",
  cache: "/session/cache",
  temporary: "/session/tmp",
  state: "/session/state",
  /** Artifacts of builds, read-only: `/opt/raworc/agents/{artifact key}`. */
  artifacts: "/opt/raworc/agents",
  /** The host's bundle and the adapters. */
  program: "/opt/raworc/host",
  /** CA certificates from the server's configuration, where it names some. */
  certificates: "/opt/raworc/ca.crt",
  /** Only the host may enter its parent; the machine's side of it is a directory of that computer alone. */
  socketDirectory: "/run/raworc/socket",
  hostSocket: "host.sock",
  egressSocket: "egress.sock",
  /** Where the host listens for the programs beside it when their way out is the egress proxy. */
  egressProxy: "http://127.0.0.1:3128",
  hostUid: 0,
  agentUid: 1000,
} as const;
