import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";

/** What is about one connection and not about the request. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Ours, and never a session's to see. */
const WITHHELD: ReadonlySet<string> = new Set(["authorization", "cookie", "host", "expect"]);

/**
 * What a session may not say about our origin: that browsers keep something for it, trust or report to somebody, ask for
 * passwords. Who may read across origins is the server's word as well.
 */
const REFUSED: ReadonlySet<string> = new Set([
  "alt-svc",
  "clear-site-data",
  "cross-origin-resource-policy",
  "expect-ct",
  "nel",
  "origin-agent-cluster",
  "public-key-pins",
  "referrer-policy",
  "report-to",
  "reporting-endpoints",
  "service-worker-allowed",
  "set-cookie",
  "set-cookie2",
  "set-login",
  "speculation-rules",
  "strict-transport-security",
  "vary",
  "www-authenticate",
  "x-content-type-options",
  "x-frame-options",
  "x-request-id",
]);

/** A page of a session runs as nobody's: without our origin it reaches neither our storage nor our calls. */
const POLICY = "sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads; frame-ancestors 'self'";

export interface PortAddress {
  readonly port: number;
  /** Path up to and with the port, which the program inside does not see. */
  readonly prefix: string;
}

/** Headers of a request as the program inside gets them. */
export function requestHeaders(
  headers: IncomingHttpHeaders,
  { port, prefix }: PortAddress,
  protocol: string,
): OutgoingHttpHeaders {
  const named = namedBy(headers.connection);
  const passed = Object.entries(headers).filter(([name]) => !isHop(name, named) && !WITHHELD.has(name));
  return {
    ...Object.fromEntries(passed),
    host: `localhost:${port}`,
    "x-forwarded-host": headers.host,
    "x-forwarded-prefix": prefix,
    "x-forwarded-proto": protocol,
  };
}

/** Headers of an answer as they go on to the caller. */
export function answerHeaders(headers: IncomingHttpHeaders, address: PortAddress): Record<string, string | string[]> {
  const named = namedBy(headers.connection);
  const passed: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    const isRefused = REFUSED.has(name) || name.startsWith("access-control-");
    if (value !== undefined && !isRefused && !isHop(name, named)) passed[name] = value;
  }
  const own = headers["content-security-policy"];
  passed["content-security-policy"] = own === undefined ? POLICY : `${own}, ${POLICY}`;
  if (headers.location !== undefined) passed["location"] = locationOutside(headers.location, address);
  return passed;
}

/** A redirect to another path of the same port stays below the prefix. */
function locationOutside(location: string, { port, prefix }: PortAddress): string {
  if (location.startsWith("/") && !location.startsWith("//")) {
    return location === prefix || location.startsWith(`${prefix}/`) ? location : `${prefix}${location}`;
  }
  const url = URL.parse(location);
  const isOwn = url !== null && ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname) && Number(url.port) === port;
  return isOwn ? `${prefix}${url.pathname}${url.search}${url.hash}` : location;
}

function namedBy(connection: string | undefined): ReadonlySet<string> {
  return new Set(
    connection
      ?.toLowerCase()
      .split(",")
      .map((name) => name.trim()),
  );
}

function isHop(name: string, named: ReadonlySet<string>): boolean {
  return HOP_BY_HOP.has(name) || named.has(name);
}
