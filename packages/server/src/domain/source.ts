import { RaworcError } from "@raworc/contract";

/** Where an agent's code is, parsed and safe to hand to git behind `--`. Never holds a password or token. */
export type Source =
  | { readonly kind: "remote"; readonly address: string; readonly name: string }
  /** An absolute path on the server's machine. */
  | { readonly kind: "local"; readonly path: string; readonly name: string };

export interface SourceRules {
  readonly allowLocalSources: boolean;
}

const FORMS =
  "Use owner/name (GitHub), https://host/path, git@host:path or ssh://git@host/path, or, where the server allows local sources, an absolute path or file:// URL.";
const LOCAL_DISABLED =
  "Local sources are not allowed here. Use a repository's https or ssh address, or start the server with RAWORC_ALLOW_LOCAL_SOURCES=true.";

const GITHUB_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9]|-(?=[A-Za-z0-9])){0,38}\/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}$/;
/** `user@host:path` as ssh and git write it; a path that starts with a dash could be taken for an option. */
const SSH_SHORT = /^([A-Za-z0-9_][A-Za-z0-9._-]*)@([A-Za-z0-9][A-Za-z0-9.-]*):(?![-:])([^\s:]+)$/;
const HOST = /^(?:[A-Za-z0-9_][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])$/;
const USER = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;

/**
 * Reads an agent's `source_repo`. Throws RaworcError `validation_failed` or `local_sources_disabled`.
 * No form reaches another transport of git than https, ssh and, where allowed, local files.
 */
export function parseSource(text: string, rules: SourceRules): Source {
  if (/[\p{Cc}\s\\]/u.test(text)) throw refuse("It holds white space, a backslash or a control character.");
  if (text.startsWith("/")) return localSource(text, rules);
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text)?.[1]?.toLowerCase();
  if (scheme === "file") return localSource(pathOfFileUrl(text), rules);
  if (scheme === "https" || scheme === "ssh") return urlSource(text, scheme);
  if (text.includes("::")) throw refuse("Transports of git's own (such as ext::) are not accepted.");
  if (text.includes("://")) {
    throw refuse(`The scheme ${quote(text.slice(0, text.indexOf("://")))} is not accepted: it must be https or ssh.`);
  }
  if (SSH_SHORT.test(text)) return { kind: "remote", address: text, name: text };
  const short = text.replace(/\.git$/, "");
  if (GITHUB_NAME.test(short)) return { kind: "remote", address: `https://github.com/${short}.git`, name: short };
  throw refuse(hintFor(text));
}

function urlSource(text: string, scheme: "https" | "ssh"): Source {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !text.slice(scheme.length).startsWith("://")) throw refuse("It is not a URL.");
  if (url.password !== "" || (scheme === "https" && url.username !== "")) {
    throw refuse("A user, password or token does not belong in the address: it would be kept and shown in records.");
  }
  if (url.username !== "" && !USER.test(url.username)) throw refuse("The user before the @ is not a plain name.");
  if (!HOST.test(url.hostname)) throw refuse("The host is not a plain host name or address.");
  if (url.search !== "" || url.hash !== "") throw refuse("Leave out what follows the ? or #.");
  const path = url.pathname.replace(/\/+$/, "");
  if (path === "" || path.startsWith("/-")) throw refuse("The path of the repository is missing.");
  const page = /^\/([^/]+\/[^/]+)\/(?:tree|blob)\/(.+)$/.exec(path);
  if (url.hostname === "github.com" && page !== null) {
    throw refuse(`This is a page of the web site. Write ${page[1]}, and put branch and folder in their own fields.`);
  }
  const user = url.username === "" ? "" : `${url.username}@`;
  const address = `${scheme}://${user}${url.host}${path}`;
  return { kind: "remote", address, name: address };
}

function localSource(path: string, rules: SourceRules): Source {
  if (!rules.allowLocalSources) throw new RaworcError("local_sources_disabled", LOCAL_DISABLED, fieldError());
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw refuse("A local path must not hold `..`.");
  if (parts.length === 0) throw refuse("The path names no repository.");
  const clean = `/${parts.join("/")}`;
  return { kind: "local", path: clean, name: clean };
}

function pathOfFileUrl(text: string): string {
  const match = /^file:\/\/(?:localhost)?(\/[^?#]*)$/i.exec(text);
  if (match?.[1] === undefined) throw refuse("A file URL is written file:///absolute/path.");
  let path: string;
  try {
    path = decodeURIComponent(match[1]);
  } catch {
    throw refuse("The file URL holds a broken %-sequence.");
  }
  if (/\p{Cc}/u.test(path)) throw refuse("It holds a control character.");
  return path;
}

function hintFor(text: string): string {
  const withoutScheme = /^(?:www\.)?((?:github|gitlab|bitbucket|codeberg)\.[a-z]+\/.+)$/i.exec(text)?.[1];
  if (withoutScheme !== undefined) return `Is it https://${withoutScheme}?`;
  if (/^\.{0,2}\//.test(text) || text.startsWith("~")) return "A local path must be absolute.";
  if (/^[A-Za-z0-9._-]+$/.test(text)) return "It names no owner.";
  return "It has none of the accepted forms.";
}

function refuse(reason: string): RaworcError {
  const message = `source_repo is no address of a git repository that can be used. ${reason} ${FORMS}`;
  return new RaworcError("validation_failed", message, fieldError(`${reason} ${FORMS}`));
}

function fieldError(message = LOCAL_DISABLED) {
  return { errors: [{ path: "body.source_repo", message }] };
}

function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
