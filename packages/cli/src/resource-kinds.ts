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
  /** Field of a creation that nobody should see: a person is asked for it, `-` takes it from stdin. */
  readonly hidden?: string;
  /** Field that only the answer to a creation has. */
  readonly shownOnce?: string;
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
  {
    name: "secrets",
    singular: "secret",
    aliases: ["space-secrets"],
    key: "key_name",
    routes: {
      list: "secrets.list",
      get: "secrets.get",
      create: "secrets.create",
      update: "secrets.update",
      delete: "secrets.delete",
    },
    positional: "key_name",
    hidden: "value",
    columns: [
      { title: "KEY", of: "key_name" },
      { title: "VALUE", of: (row) => String(row["value"] ?? "(hidden)") },
      { title: "VERSION", of: "version", as: "number" },
      { title: "DESCRIPTION", of: "description" },
      { title: "CREATED BY", of: "created_by", wide: true },
      { title: "CHANGED", of: "updated_at", as: "age", wide: true },
      age,
    ],
    example: "OPENAI_API_KEY --value - < key.txt",
  },
  {
    name: "service-accounts",
    singular: "service-account",
    aliases: ["sa", "account", "accounts"],
    key: "user",
    routes: {
      list: "service-accounts.list",
      get: "service-accounts.get",
      create: "service-accounts.create",
      update: "service-accounts.update",
      delete: "service-accounts.delete",
    },
    positional: "user",
    hidden: "pass",
    columns: [
      { title: "USER", of: "user" },
      { title: "ACTIVE", of: "active" },
      { title: "DESCRIPTION", of: "description" },
      age,
    ],
    example: "ci --pass - < password.txt",
  },
  {
    name: "roles",
    singular: "role",
    key: "name",
    routes: {
      list: "roles.list",
      get: "roles.get",
      create: "roles.create",
      update: "roles.update",
      delete: "roles.delete",
    },
    positional: "name",
    columns: [
      { title: "NAME", of: "name" },
      { title: "BUILT IN", of: "built_in" },
      { title: "RULES", of: (row) => String(Array.isArray(row["rules"]) ? row["rules"].length : 0), as: "number" },
      { title: "DESCRIPTION", of: "description" },
      age,
    ],
    example: "-f role.yaml",
  },
  {
    name: "role-bindings",
    singular: "role-binding",
    aliases: ["rb"],
    key: "id",
    routes: {
      list: "role-bindings.list",
      get: "role-bindings.get",
      create: "role-bindings.create",
      delete: "role-bindings.delete",
    },
    columns: [
      { title: "ID", of: "id" },
      { title: "PRINCIPAL", of: "principal" },
      { title: "ROLE", of: "role_name" },
      { title: "SPACE", of: (row) => String(row["space"] ?? "everywhere") },
      age,
    ],
    example: "--principal ci --role-name developer --space default",
  },
  {
    name: "tokens",
    singular: "token",
    key: "id",
    routes: { list: "tokens.list", get: "tokens.get", create: "tokens.create", delete: "tokens.delete" },
    positional: "name",
    shownOnce: "token",
    columns: [
      { title: "ID", of: "id" },
      { title: "NAME", of: "name" },
      { title: "USER", of: "user" },
      { title: "SPACE", of: "space", wide: true },
      { title: "ROLE", of: "role", wide: true },
      { title: "EXPIRES", of: (row) => String(row["expires_at"] ?? "never") },
      age,
    ],
    example: "ci --space default --role viewer",
  },
  {
    name: "audit-events",
    singular: "audit-event",
    aliases: ["audit"],
    key: "id",
    routes: { list: "audit-events.list" },
    columns: [
      { title: "SEQ", of: "seq", as: "number" },
      { title: "TIME", of: "created_at" },
      { title: "PRINCIPAL", of: "principal" },
      { title: "ACTION", of: "action" },
      { title: "RESOURCE", of: "resource" },
      { title: "NAME", of: "name" },
      { title: "SPACE", of: "space" },
      { title: "OUTCOME", of: "outcome", as: "state" },
      { title: "ADDRESS", of: "address", wide: true },
      { title: "REQUEST", of: "request_id", wide: true },
    ],
    example: "",
  },
];

/** Every name that a kind goes by. */
export function namesOf(kind: ResourceKind): string[] {
  return [kind.name, kind.singular, ...(kind.aliases ?? [])];
}

export function findKind(name: string): ResourceKind | undefined {
  return RESOURCE_KINDS.find((kind) => namesOf(kind).includes(name.toLowerCase()));
}
