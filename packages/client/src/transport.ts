import { API_BASE, BEARER_PROTOCOL, type FieldError, ROUTES, type Route, type RouteName } from "@raworc/contract";
import type { UntypedOptions } from "./call.ts";
import { AnswerError, ApiError, ConnectionError } from "./errors.ts";

export interface TransportOptions {
  /** Address of the server: `http://127.0.0.1:9000`. */
  readonly server: string;
  readonly token?: string | undefined;
  /** Sent as User-Agent. */
  readonly userAgent?: string;
  readonly fetch?: typeof fetch;
}

/** What is sent by `raw`. */
export interface RawRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A stream is sent as it comes. */
  readonly body?: string | Uint8Array | ReadableStream<Uint8Array> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Sends requests to one server, and no token to any other. */
export class Transport {
  readonly server: string;
  readonly #options: TransportOptions;
  readonly #base: URL;

  /** Throws a TypeError when the address is no http or https URL. */
  constructor(options: TransportOptions) {
    const url = URL.parse(options.server);
    if (url === null || !/^https?:$/.test(url.protocol)) {
      throw new TypeError(
        `${JSON.stringify(options.server)} is no server address; use one such as http://127.0.0.1:9000`,
      );
    }
    // A server behind a path prefix keeps it.
    this.#base = new URL(`${url.origin}${url.pathname.replace(/\/+$/, "")}/`);
    this.server = this.#base.href.replace(/\/$/, "");
    this.#options = options;
  }

  /** URL of a path that is relative to the API's base, or begins with it. */
  urlOf(path: string): URL {
    const relative = path.replace(/^\/+/, "");
    const below = `${API_BASE.slice(1)}/`;
    const url = URL.parse(relative.startsWith(below) ? relative : `${below}${relative}`, this.#base);
    if (url === null || url.origin !== this.#base.origin) throw new TypeError(`${JSON.stringify(path)} is no path`);
    return url;
  }

  /** One request, whatever its answer's status. Redirects are not followed: a token belongs to one server. */
  async raw(path: string, request: RawRequest = {}): Promise<Response> {
    return this.#fetch(this.urlOf(path), request);
  }

  /** Address of a route with its parameters and query. */
  urlOfRoute(name: RouteName, { params = {}, query = {} }: UntypedOptions): URL {
    const url = this.urlOf(fillPath(ROUTES[name].path, params));
    for (const [key, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(key, String(value));
    }
    return url;
  }

  /** Address and subprotocols of a WebSocket: no page can set its headers, so the token goes with the latter. */
  webSocket(name: RouteName, protocol: string, options: UntypedOptions): { address: URL; protocols: string[] } {
    const address = this.urlOfRoute(name, options);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const { token } = this.#options;
    return { address, protocols: [protocol, ...(token === undefined ? [] : [`${BEARER_PROTOCOL}${token}`])] };
  }

  /** One request to a route. Throws ApiError for an answer that is a problem. */
  async send(name: RouteName, options: UntypedOptions): Promise<Response> {
    const route: Route = ROUTES[name];
    const url = this.urlOfRoute(name, options);
    const given = route.body === undefined ? undefined : JSON.stringify(options.body ?? {});
    const body = route.bytes === true ? (options.body as NonNullable<RawRequest["body"]>) : given;
    const headers: Record<string, string> = { accept: "application/json", ...options.headers };
    if (given !== undefined) headers["content-type"] = "application/json";
    const response = await this.#fetch(url, { method: route.method, headers, body, signal: options.signal });
    if (!response.ok) throw await problemOf(response, this.server);
    return response;
  }

  /** Reads a body of JSON. Throws AnswerError for what is none, ConnectionError when it broke off. */
  async readJson(response: Response): Promise<unknown> {
    let text: string;
    try {
      text = await response.text();
    } catch (error) {
      if (isAbort(error)) throw error;
      throw new ConnectionError(this.server, error);
    }
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new AnswerError(`What answers at ${this.server} sent no JSON; is it a Raworc server?`, { cause: error });
    }
  }

  async #fetch(url: URL, request: RawRequest): Promise<Response> {
    const { token, userAgent } = this.#options;
    const headers = new Headers(request.headers);
    if (token !== undefined && !headers.has("authorization")) headers.set("authorization", `Bearer ${token}`);
    if (userAgent !== undefined) headers.set("user-agent", userAgent);
    const init: RequestInit = { headers, method: request.method ?? "GET", redirect: "manual" };
    if (request.body !== undefined) init.body = request.body as NonNullable<RequestInit["body"]>;
    if (request.body instanceof ReadableStream) init.duplex = "half";
    if (request.signal !== undefined) init.signal = request.signal;
    try {
      return await (this.#options.fetch ?? fetch)(url, init);
    } catch (error) {
      if (isAbort(error) || isBadInput(error)) throw error;
      throw new ConnectionError(this.server, error);
    }
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === "AbortError" || error.name === "TimeoutError");
}

/** Fetch reports what can't be sent and what didn't arrive by one class; only the latter has a cause. */
function isBadInput(error: unknown): boolean {
  return error instanceof TypeError && error.cause === undefined;
}

/** Path of a route with its parameters. Each is one segment, whatever it contains; a star is a path of its own. */
export function fillPath(path: string, params: Readonly<Record<string, string>>): string {
  return path.replace(/\*$/, encodePath(params["*"] ?? "")).replace(/:([a-z_]+)/g, (_, name: string) => {
    const value = params[name];
    if (value === undefined || value === "") throw new TypeError(`The path ${path} needs ${name}`);
    // A segment of dots alone would be resolved away.
    return encodeURIComponent(value).replace(/^\.{1,2}$/, (dots) => dots.replaceAll(".", "%2E"));
  });
}

/** A path keeps its slashes, but for the first, and where URLs would resolve parts of it away. */
function encodePath(path: string): string {
  const parts = path.split("/");
  if (parts.some((part) => part === "." || part === "..")) return encodeURIComponent(`${path}/`);
  const [first = "", ...rest] = parts.map(encodeURIComponent);
  return first === "" && rest.length > 0 ? `%2F${rest.join("/")}` : [first, ...rest].join("/");
}

/** The error that an answer's problem details tell of. */
export async function problemOf(response: Response, server: string): Promise<ApiError> {
  const text = await response.text().catch(() => "");
  const requestId = response.headers.get("x-request-id") ?? undefined;
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
  const rest = {
    status: response.status,
    requestId,
    retryAfterSeconds: Number.isFinite(retryAfter) ? retryAfter : undefined,
  };
  const problem = asProblem(text);
  if (problem !== undefined) return new ApiError({ ...problem, ...rest });
  const detail = `${server} answered ${response.status} and not as Raworc does; is it a Raworc server?`;
  return new ApiError({ code: "unexpected_answer", detail, ...rest });
}

export function asProblem(text: string): { code: string; detail: string; errors: FieldError[] } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || !("code" in value) || typeof value.code !== "string")
    return undefined;
  const fallback = "title" in value ? String(value.title) : value.code;
  const detail = "detail" in value && typeof value.detail === "string" ? value.detail : fallback;
  const listed: unknown[] = "errors" in value && Array.isArray(value.errors) ? value.errors : [];
  return { code: value.code, detail, errors: listed.filter(isFieldError) };
}

function isFieldError(value: unknown): value is FieldError {
  if (typeof value !== "object" || value === null || !("path" in value) || !("message" in value)) return false;
  return typeof value.path === "string" && typeof value.message === "string";
}
