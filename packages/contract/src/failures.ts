/**
 * Codes a failed message, build or session carries in its record.
 * They are no HTTP errors: the request that accepted the work had already succeeded.
 */
export const FAILURES = {
  handler_failed: "The handler raised an error",
  handler_not_found: "The handler named by the manifest is not there",
  agent_exited: "The agent's process ended by its own hand",
  agent_died: "The agent's process or its computer vanished",
  agent_timeout: "The agent took longer than its time limit",
  agent_start_failed: "The agent's process could not be started",
  cancelled: "The message was cancelled",
  paused: "The session was paused while the message ran",
  computer_failed: "The session computer could not be made or reached",
  disk_full: "The disk is full",
  source_not_found: "The repository or branch could not be read",
  manifest_invalid: "The manifest is wrong",
  runtime_unknown: "The runtime is unknown or could not be detected",
  build_command_failed: "A build step failed",
  build_timeout: "The build took longer than its time limit",
  server_error: "The server failed",
} as const satisfies Record<string, string>;

export type FailureCode = keyof typeof FAILURES;
