import { readFile } from "node:fs/promises";
import { STATUS_CODES } from "node:http";
import { asProblem } from "@raworc/client";
import { methodFor, normalizeEndpoint } from "../../api-endpoint.ts";
import { type Command, collect, createCommand, withExamples } from "../../command.ts";
import type { Context } from "../../context.ts";
import { SilentFailure, UsageFailure } from "../../failure.ts";
import { writeReport } from "../../report.ts";
import type { Output } from "../../streams.ts";
import { cleanText, TerminalText } from "../../terminal-text.ts";
import { readAll } from "../../text-lines.ts";

export interface ApiOptions {
  readonly method?: string;
  readonly body?: string;
  readonly headers?: readonly string[];
  readonly pretty?: boolean;
  readonly status?: boolean;
}

export function apiCommand(context: Context): Command {
  const command = createCommand(context, "api")
    .summary("call any endpoint of the REST API")
    .description(
      "Calls an endpoint with the login's token and writes the answer's body to stdout; everything else goes to stderr. " +
        "Without --method it is POST when there is a body or the endpoint takes nothing else, else GET. Exit code 0 for 2xx, else 1.",
    )
    .argument("<endpoint>", "path below /api/v0, with its query")
    .option("-X, --method <method>", "GET, POST, PUT, PATCH, DELETE or HEAD")
    .option("-d, --body <json>", "body; @FILE reads a file, - reads stdin")
    .option("-H, --headers <header>", "'Name: value', or a JSON object of several; may be repeated", collect)
    .option("--pretty", "indent JSON also where stdout is no terminal")
    .option("--status", "write status, server and user to stderr")
    .action((endpoint: string, options: ApiOptions) => runApi(context, endpoint, options));
  return withExamples(context, command, [
    "raworc api health",
    "raworc api 'sessions?state=idle&limit=10'",
    'raworc api sessions --body \'{"space":"default"}\'',
    "raworc api spaces/default/agents/poet -X PUT -d @agent.json",
    "raworc api sessions/$ID/events -H 'Accept: text/event-stream'",
  ]);
}

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

export async function runApi(context: Context, endpoint: string, options: ApiOptions): Promise<void> {
  const { err, out } = context.streams;
  const body = options.body === undefined ? undefined : await readBody(context, options.body);
  const method = options.method?.toUpperCase() ?? methodFor(endpoint, body !== undefined);
  if (!METHODS.includes(method))
    throw new UsageFailure(`There is no method ${options.method}.`, [`use one of ${METHODS.join(", ")}`]);
  if (body !== undefined && (method === "GET" || method === "HEAD"))
    throw new UsageFailure(`A ${method} takes no body.`);
  const headers = readHeaders(options.headers ?? []);
  if (body !== undefined && !Object.keys(headers).some((name) => name.toLowerCase() === "content-type")) {
    headers["content-type"] = "application/json";
  }
  const { client, login, server } = await context.connect();
  const response = await client.raw(normalizeEndpoint(endpoint), { method, headers, body });
  if (options.status === true) {
    const user = login === undefined ? "not logged in" : login.user === "" ? "the token of RAWORC_TOKEN" : login.user;
    err.line(`${server}, ${user}`);
    err.line(`HTTP ${response.status} ${response.statusText || (STATUS_CODES[response.status] ?? "")}`);
  }
  await writeBody(out, err, response, options.pretty === true);
  if (!response.ok) throw new SilentFailure();
}

async function readBody(context: Context, text: string): Promise<string> {
  if (text === "-") return readAll(context.streams.stdin);
  if (!text.startsWith("@")) return text;
  try {
    return await readFile(text.slice(1), "utf8");
  } catch (error) {
    throw new UsageFailure(`${text.slice(1)} can't be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Headers as `Name: value` or as a JSON object. */
export function readHeaders(given: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const text of given) {
    if (text.trimStart().startsWith("{")) {
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch {
        throw new UsageFailure(`The headers ${JSON.stringify(text)} are no JSON object.`);
      }
      for (const [name, part] of Object.entries(value as Record<string, unknown>)) headers[name] = String(part);
    } else {
      const [, name, value] = /^([^:\s]+):\s*(.*)$/s.exec(text) ?? [];
      if (name === undefined || value === undefined) {
        throw new UsageFailure(`The header ${JSON.stringify(text)} is not of the form 'Name: value'.`);
      }
      headers[name] = value;
    }
  }
  try {
    new Headers(headers);
  } catch {
    throw new UsageFailure("A header has characters that no header may have.");
  }
  return headers;
}

/** Streams the body on, unless it is JSON to be indented. A problem is also told in words. */
async function writeBody(out: Output, err: Output, response: Response, pretty: boolean): Promise<void> {
  const type = response.headers.get("content-type") ?? "";
  const isJson = /^application\/([a-z.]+\+)?json/.test(type);
  if (isJson) {
    const text = await response.text();
    const shown = pretty || out.isTerminal ? indent(text) : text;
    if (shown !== "") out.write(`${out.isTerminal ? cleanText(shown) : shown}\n`);
    const problem = response.ok ? undefined : asProblem(text);
    if (problem !== undefined) writeReport({ message: problem.detail, hints: [] }, err);
    return;
  }
  const cleaner = new TerminalText();
  const decoder = new TextDecoder();
  let isOnNewLine = true;
  for await (const chunk of response.body ?? []) {
    const piece = out.isTerminal ? cleaner.push(decoder.decode(chunk, { stream: true })) : chunk;
    isOnNewLine = chunk.at(-1) === 0x0a;
    out.stream.write(piece);
    await out.drained();
  }
  if (out.isTerminal && !isOnNewLine) out.line();
  if (!response.ok)
    writeReport({ message: `The server answered ${response.status} ${response.statusText}`, hints: [] }, err);
}

function indent(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
