/** What git's error output says was wrong, as far as it changes what a person does about it. */
export interface GitFault {
  readonly kind: "absent" | "login" | "network" | "certificate" | "commit" | "unreadable" | "other";
  /** Trying again may help. */
  readonly transient: boolean;
  /** A sentence for the agent's author. */
  readonly message: string;
}

type Rule = readonly [GitFault["kind"], RegExp, (name: string, line: string) => string];

/** What the way out of a builder, an HTTP proxy, answers: it refuses (403), or the host is absent or silent (502, 504). */
const PROXY_REFUSES = /CONNECT tunnel failed, response 403|HTTP code 403 from proxy/;
const PROXY_FAILS = /CONNECT tunnel failed, response 50\d|HTTP code 50\d from proxy/;
const TRANSIENT =
  /Could not resolve|Temporary failure in name|Connection (?:timed out|reset|refused|closed)|Failed to connect|Couldn't connect|Operation (?:timed out|too slow)|early EOF|unexpected disconnect|RPC failed|hung up unexpectedly|returned error: (?:429|5\d\d)|GnuTLS|SSL_ERROR|kex_exchange_identification|Network is unreachable/i;

/** The first that fits is taken: what says more comes first. */
const RULES: readonly Rule[] = [
  [
    "certificate",
    /SSL certificate problem|certificate verif|CAfile|self.signed certificate/i,
    (name) =>
      `The certificate of ${name} is not trusted. Name the CA bundle of your network by SSL_CERT_FILE for the server.`,
  ],
  [
    "commit",
    /not our ref|unadvertised object|does not allow request|couldn't find remote ref|reference is not a tree|bad object/i,
    (name) => `The commit is not in ${name}. It may have been replaced by a forced push: deploy again.`,
  ],
  [
    "login",
    /could not read (?:Username|Password)|Authentication failed|terminal prompts disabled|returned error: 40[137]|Permission denied \(|Host key verification failed|invalid credentials/i,
    (name) =>
      `${name} asks for a login: it is private, or there is no such repository (hosts answer both alike). Check the address; builds have no credentials of yours, so the repository must be readable by all.`,
  ],
  [
    "absent",
    /repository .*not found|returned error: 404|does not appear to be a git repository|repository .* does not exist|not a git repository/i,
    (name) => `There is no git repository at ${name}. Check the address.`,
  ],
  [
    "network",
    PROXY_REFUSES,
    (name) =>
      `Builders may not connect to ${name}: its address is private or this machine's own. Only public addresses and the configured package mirrors can be reached.`,
  ],
  [
    "network",
    PROXY_FAILS,
    (name) =>
      `${name} could not be reached: its host is not found or does not answer. Check the address, then deploy again.`,
  ],
  [
    "network",
    /Could not resolve|Temporary failure in name/i,
    (name) => `The host of ${name} was not found. Check the address, and the name service of the server's machine.`,
  ],
  [
    "network",
    /transport '.*' not allowed|cannot run ssh|ssh: not found|ssh: command not found/i,
    (name) => `${name} can't be reached from a builder in this way. Use its https address.`,
  ],
  ["unreadable", /Permission denied|dubious ownership/i, unreadable],
  [
    "network",
    TRANSIENT,
    (name, line) => `${name} could not be reached (${line}). Check the address and the network, then deploy again.`,
  ],
];

/** `lines` is what git wrote, cleaned. A repository of this machine was there when it was mounted: it is absent for builders alone. */
export function readGitFault(
  lines: readonly string[],
  name: string,
  { local = false }: { readonly local?: boolean } = {},
): GitFault {
  for (const [kind, pattern, message] of RULES) {
    const line = lines.find((candidate) => pattern.test(candidate));
    if (line === undefined) continue;
    if (local && kind === "absent") return { kind: "unreadable", transient: false, message: unreadable(name) };
    const transient = kind === "network" && lines.some((candidate) => TRANSIENT.test(candidate));
    return { kind, transient, message: message(name, bare(line)) };
  }
  const last = bare(lines.findLast((line) => line.trim() !== "") ?? "no reason given");
  return { kind: "other", transient: false, message: `${name} could not be read by git: ${last}` };
}

function unreadable(name: string): string {
  return `${name} can't be read by the builder, which is another user: let others read it (chmod -R o+rX ${name}).`;
}

function bare(line: string): string {
  return line.replace(/^(?:fatal|error|remote|ERROR):\s*/, "").slice(0, 300);
}
