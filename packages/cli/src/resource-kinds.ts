import type { RouteName } from "@raworc/contract";

export type Row = Readonly<Record<string, unknown>>;

export interface Column {
  readonly title: string;
  /** Dotted field of the object, or how to make the text of it. */
  readonly of: string | ((row: Row) => string);
  /** `age` shows a time as how long ago it was, `state` colours a word, `number` aligns to the right. */
  readonly as?: "age" | "state" | "number";
  /** Only with `-o wide`. */
  readonly wide?: boolean;
}

/**
 * A resource as the verbs get, describe, create, delete know it. Parameters of its routes are filled from the name, from
 * `--space` and from options of the same name as in `parents`; fields of bodies become options by the contract's schemas.
 */
export interface ResourceKind {
  readonly name: string;
  readonly singular: string;
  readonly aliases?: readonly string[];
  /** Field that names one. */
  readonly key: string;
  readonly routes: {
    readonly list?: RouteName;
    readonly get?: RouteName;
    readonly create?: RouteName;
    readonly update?: RouteName;
    readonly delete?: RouteName;
  };
  /** Parameters that name what it lies in, and the option for each. */
  readonly parents?: Readonly<Record<string, string>>;
  /** Field of a creation that may be given without its option's name. */
  readonly positional?: string;
  readonly columns: readonly Column[];
  readonly example: string;
}

const age: Column = { title: "AGE", of: "created_at", as: "age" };
const shortCommit = (row: Row): string => String(row["commit"] ?? "").slice(0, 8);
const list = (row: Row, field: string): string => (Array.isArray(row[field]) ? row[field].join(",") : "");

export const RESOURCE_KINDS: readonly ResourceKind[] = [
  {
    name: "spaces",
    singular: "space",
    aliases: ["sp"],
    key: "name",
    routes: {
      list: "spaces.list",
      get: "spaces.get",
      create: "spaces.create",
      update: "spaces.update",
      delete: "spaces.delete",
    },
    positional: "name",
    columns: [
      { title: "NAME", of: "name" },
      { title: "ACTIVE", of: "active" },
      { title: "DESCRIPTION", of: "description" },
      { title: "CREATED BY", of: "created_by", wide: true },
      age,
    ],
    example: "team-a --description 'Team A'",
  },
  {
    name: "agents",
    singular: "agent",
    aliases: ["ag"],
    key: "name",
    routes: {
      list: "agents.list",
      get: "agents.get",
      create: "agents.create",
      update: "agents.update",
      delete: "agents.delete",
    },
    positional: "name",
    columns: [
      { title: "NAME", of: "name" },
      { title: "STATUS", of: "status", as: "state" },
      { title: "RUNTIME", of: "runtime" },
      { title: "COMMIT", of: shortCommit },
      { title: "SOURCE", of: "source_repo", wide: true },
      { title: "BRANCH", of: "source_branch", wide: true },
      { title: "PATH", of: "source_path", wide: true },
      age,
    ],
    example: "poet --source-repo owner/poet",
  },
  {
    name: "builds",
    singular: "build",
    aliases: ["bu"],
    key: "build_id",
    routes: { list: "builds.list", get: "builds.get", create: "builds.create" },
    columns: [
      { title: "ID", of: "build_id" },
      { title: "STATUS", of: "status", as: "state" },
      { title: "AGENTS", of: (row) => list(row, "agents_deployed") },
      { title: "IMAGE", of: "image_tag", wide: true },
      { title: "ERROR", of: "error", wide: true },
      age,
    ],
    example: "--force-rebuild",
  },
  {
    name: "sessions",
    singular: "session",
    aliases: ["se"],
    key: "id",
    routes: {
      list: "sessions.list",
      get: "sessions.get",
      create: "sessions.create",
      update: "sessions.update",
      delete: "sessions.delete",
    },
    columns: [
      { title: "ID", of: "id" },
      { title: "NAME", of: "name" },
      { title: "SPACE", of: "space" },
      { title: "STATE", of: "state", as: "state" },
      { title: "TIER", of: "tier", wide: true },
      { title: "CREATED BY", of: "created_by", wide: true },
      { title: "LAST ACTIVITY", of: "last_activity_at", as: "age", wide: true },
      { title: "ERROR", of: "error", wide: true },
      age,
    ],
    example: "--name notes --wait ready",
  },
  {
    name: "messages",
    singular: "message",
    aliases: ["msg"],
    key: "id",
    routes: { list: "messages.list", create: "messages.create" },
    parents: { id: "session" },
    positional: "content",
    columns: [
      { title: "SEQ", of: "seq", as: "number" },
      { title: "ID", of: "id", wide: true },
      {
        title: "FROM",
        of: (row) => String(row["agent"] !== null && row["role"] === "agent" ? row["agent"] : row["role"]),
      },
      { title: "STATUS", of: "status", as: "state" },
      { title: "CONTENT", of: "content" },
      age,
    ],
    example: "'@poet write a haiku' --session $ID",
  },
];

/** Every name that a kind goes by. */
export function namesOf(kind: ResourceKind): string[] {
  return [kind.name, kind.singular, ...(kind.aliases ?? [])];
}

export function findKind(name: string): ResourceKind | undefined {
  return RESOURCE_KINDS.find((kind) => namesOf(kind).includes(name.toLowerCase()));
}
