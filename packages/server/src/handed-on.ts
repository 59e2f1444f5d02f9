import { COMPUTER } from "@raworc/contract";

/** What of the server's environment builds and sessions get: how packages are reached, and nothing else. */
export interface HandedOn {
  /** File on this machine with the CA certificates to trust; appears in each computer at COMPUTER.certificates. */
  readonly certificates: string | null;
  /** Hosts of mirrors and proxies, which may have private addresses. */
  readonly mirrorHosts: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Variables that programs read their CA file from. */
const CERTIFICATE_VARIABLES = [
  "SSL_CERT_FILE",
  "NODE_EXTRA_CA_CERTS",
  "PIP_CERT",
  "REQUESTS_CA_BUNDLE",
  "CURL_CA_BUNDLE",
  "GIT_SSL_CAINFO",
  "CARGO_HTTP_CAINFO",
] as const;
const MIRROR_VARIABLES = ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "NPM_CONFIG_REGISTRY"] as const;
const PROXY_VARIABLES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] as const;
const PLAIN_VARIABLES = ["PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT"] as const;
/** Cargo's settings for registries and its network. Its tokens are credentials of this machine's user. */
const CARGO_VARIABLE =
  /^CARGO_(REGISTRY_DEFAULT|REGISTRIES_[A-Z0-9_]+_(INDEX|PROTOCOL)|NET_[A-Z_]+|HTTP_(?!CAINFO$)[A-Z_]+)$/;

/** Hosts of the URLs in a text; undefined when one is no URL of a mirror or proxy. */
function hostsOf(text: string): string[] | undefined {
  const hosts: string[] = [];
  for (const part of text.split(/\s+/)) {
    const plain = part.replace(/^sparse\+/, "");
    const url = URL.parse(plain.includes("://") ? plain : `http://${plain}`);
    if (url === null || url.hostname === "" || !/^(https?|socks[45]?[ah]?):$/.test(url.protocol)) return undefined;
    hosts.push(url.hostname.toLowerCase());
  }
  return hosts;
}

/** Reads what is handed on. `complain` hears of each variable that is wrong. */
export function readHandedOn(
  env: Environment,
  complain: (name: string, problem: string, remedy: string) => void,
): HandedOn {
  const environment: Record<string, string> = {};
  const hosts = new Set<string>();
  const addHosts = (name: string, value: string, remedy: string): void => {
    const found = hostsOf(value);
    if (found === undefined) complain(name, "has no http or https URL", remedy);
    for (const host of found ?? []) hosts.add(host);
  };
  const certificates = env["SSL_CERT_FILE"] ?? null;
  if (certificates !== null) {
    for (const name of CERTIFICATE_VARIABLES) environment[name] = COMPUTER.certificates;
  }
  for (const name of MIRROR_VARIABLES) {
    const value = env[name];
    if (value === undefined) continue;
    addHosts(name, value, "Set the address of the mirror, for example https://mirror.example/simple");
    environment[name] = value;
  }
  for (const name of PROXY_VARIABLES) {
    const value = env[name] ?? env[name.toLowerCase()];
    if (value === undefined) continue;
    addHosts(name, value, "Set the address of the proxy, for example http://proxy.example:3128");
    environment[name] = value;
    environment[name.toLowerCase()] = value;
  }
  const direct = env["NO_PROXY"] ?? env["no_proxy"];
  if (direct !== undefined) {
    environment["NO_PROXY"] = direct;
    environment["no_proxy"] = direct;
  }
  for (const name of PLAIN_VARIABLES) {
    const value = env[name];
    if (value !== undefined) environment[name] = value;
  }
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || !CARGO_VARIABLE.test(name)) continue;
    if (name.endsWith("_INDEX") || name === "CARGO_HTTP_PROXY") {
      addHosts(name, value, "Set the address of the index, for example sparse+https://mirror.example/index/");
    }
    environment[name] = value;
  }
  return { certificates, mirrorHosts: [...hosts], environment };
}
