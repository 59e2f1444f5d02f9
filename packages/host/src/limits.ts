/** A longer reply is cut to this many bytes of UTF-8; the same as REPLY_MAX_BYTES of the contract, which draws in Zod. */
export const REPLY_KEPT_BYTES = 4 * 1024 * 1024;
/** A reply that grows beyond this is a runaway: its message fails. */
export const REPLY_FILE_MAX_BYTES = 1024 * 1024 * 1024;
/** Of each log file; what comes after is dropped, and a line says so. */
export const LOG_MAX_BYTES = 10 * 1024 * 1024;
/** Of all logs and whole replies together, where a tenth of the disk is not less. */
export const LOG_FOLDER_MAX_BYTES = 512 * 1024 * 1024;
export const LOG_FILES_MAX = 20_000;
/** Of a request from the control plane. */
export const BODY_MAX_BYTES = 64 * 1024 * 1024;
/** Of an error's text in a record; the whole is in the stderr log. */
export const ERROR_TEXT_MAX = 4096;
/** Between asking a process to end and killing it. */
export const GRACE_MS = 2000;
/** Longest argument or environment text that is handed to a program; the kernel's own limit is 128 KiB. */
export const ARGUMENT_MAX_BYTES = 96 * 1024;
/** Entries of a folder in one answer; the same as LIMIT_MAX of the contract. */
export const LISTED_MAX = 1000;
/** Bytes of a terminal's output that a viewer who comes later is shown; these three are the same as in the contract. */
export const SCROLLBACK_KEPT_BYTES = 256 * 1024;
export const TERMINALS_OPEN_MAX = 16;
export const TERMINAL_VIEWERS_MAX = 16;
/** Output that waits for a viewer: beyond this no more is read from the terminal. */
export const VIEWER_PAUSE_BYTES = 128 * 1024;
/** So long a viewer may keep others waiting. */
export const VIEWER_PATIENCE_MS = 1000;
/** Of a line of a log that is told; the rest follows as another. */
export const LOG_LINE_CUT_BYTES = 16 * 1024;
/** Of the host's own log below `/session/logs`; then it begins anew. */
export const HOST_LOG_MAX_BYTES = 1024 * 1024;
/** Of the history that is kept and handed to agents; these two are HISTORY_MAX_MESSAGES and HISTORY_MAX_BYTES of the contract. */
export const HISTORY_KEPT_MESSAGES = 100;
export const HISTORY_KEPT_BYTES = 256 * 1024;
/** Ids in one call; HOST_FORGET_MAX of the contract. */
export const FORGOTTEN_MAX = 1000;
