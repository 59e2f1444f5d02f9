/** A path in a session's computer: relative to `/session`, or absolute. */
export interface RemotePath {
  readonly session: string;
  readonly path: string;
}

const REMOTE = /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}):(.*)$/is;

/** Undefined for a path of this machine. */
export function parseRemote(text: string): RemotePath | undefined {
  const [, session, path] = REMOTE.exec(text) ?? [];
  return session === undefined || path === undefined ? undefined : { session, path };
}

/** A path below a folder. An empty one is `/session`, and a slash alone is the root. */
export function below(folder: string, path: string): string {
  if (folder === "") return path;
  return `${folder.replace(/\/+$/, "")}/${path}`;
}
