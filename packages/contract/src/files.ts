import { z } from "zod";
import { ListQuery, QuerySwitch } from "./lists.ts";

/** Of a path in UTF-8, as the kernel has it. */
export const FILE_PATH_MAX_BYTES = 4095;

export const FileType = z.enum(["file", "directory", "link", "other"]);
export type FileType = z.infer<typeof FileType>;

/** One entry of a folder. A listing tells of a link itself, `?stat=true` of what it leads to. */
export const FileEntry = z.object({
  name: z.string(),
  type: FileType,
  /** Bytes. */
  size: z.number().int().nonnegative(),
  /** Permissions in four octal digits. */
  mode: z.string().regex(/^[0-7]{4}$/),
  modified_at: z.string(),
});
export type FileEntry = z.infer<typeof FileEntry>;

/** `list` gives a folder's entries in the order of their names, `stat` the entry of the path; else it is the content. */
export const FileQuery = z.strictObject({
  ...ListQuery.shape,
  // A name has 255 bytes, and a cursor is one of those.
  cursor: z.string().min(1).max(1024).optional(),
  list: QuerySwitch.default(false),
  stat: QuerySwitch.default(false),
});
export type FileQuery = z.infer<typeof FileQuery>;

export const FileDeleteQuery = z.strictObject({
  /** Needed for folders, empty or not. */
  recursive: QuerySwitch.default(false),
});

export const FileMoveQuery = z.strictObject({
  /** Where to: relative to `/session`, or absolute. What is there and is no folder is replaced. */
  move_to: z.string().min(1),
});

/** Whether a call may leave `/session`. */
export const FileReach = z.enum(["session", "any"]);
export type FileReach = z.infer<typeof FileReach>;

/** The host's answer to a listing. */
export const HostFileList = z.object({
  entries: z.array(FileEntry),
  /** There are more, after the last of these. */
  more: z.boolean(),
});
export type HostFileList = z.infer<typeof HostFileList>;
