import type { IncomingMessage } from "node:http";
import { RaworcError } from "@raworc/contract";
import type { FastifyInstance, FastifyRequest } from "fastify";

/** Deeper values could not be written again without exhausting the stack. */
const DEPTH_MAX = 100;

const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACE = 0x7d;
const CLOSE_BRACKET = 0x5d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Whether a JSON text nests deeper than the limit; may be asked about texts that are no JSON. */
export function isNestedDeeper(text: string, limit: number): boolean {
  let depth = 0;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (inString) {
      if (code === BACKSLASH) index += 1;
      else if (code === QUOTE) inString = false;
    } else if (code === QUOTE) inString = true;
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      depth += 1;
      if (depth > limit) return true;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth -= 1;
  }
  return false;
}

const malformed = (detail: string, cause?: unknown): RaworcError =>
  new RaworcError("malformed_json", detail, { cause });

/** Whether a key may be `__proto__`, plain or with its letters escaped. */
function mayHoldPrototype(text: string): boolean {
  return text.includes("__proto__") || /\\u00(5f|6f|70|72|74)/i.test(text);
}

/** Parses a body. An empty one is undefined. Throws `malformed_json`. */
export function parseJsonBody(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw malformed("The body is not UTF-8. Send JSON in UTF-8.", error);
  }
  if (isNestedDeeper(text, DEPTH_MAX)) {
    throw malformed(`The body nests deeper than ${DEPTH_MAX} levels. Send a flatter value.`);
  }
  // A key `__proto__` must never reach code that copies keys; the reviver costs, so it runs only where one may be.
  const reviver = (key: string, value: unknown): unknown => {
    if (key === "__proto__") throw malformed("A field named __proto__ is not taken. Use another name.");
    return value;
  };
  try {
    return mayHoldPrototype(text) ? JSON.parse(text, reviver) : JSON.parse(text);
  } catch (error) {
    if (error instanceof RaworcError) throw error;
    throw malformed("The body is not valid JSON. Check quotes, commas and brackets.", error);
  }
}

/** Whether a body comes with a request. */
export function hasBody(headers: IncomingMessage["headers"]): boolean {
  return headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0";
}

/** Makes JSON the only kind of body; where there is none, its type does not matter. */
export function acceptJsonOnly(fastify: FastifyInstance): void {
  fastify.removeAllContentTypeParsers();
  const onJson = async (request: FastifyRequest, body: Buffer): Promise<unknown> => {
    // Whatever was sent to a path or method that isn't there, that is what is said.
    if (request.is404) return undefined;
    const encoding = request.headers["content-encoding"];
    if (encoding !== undefined && encoding !== "identity") {
      throw new RaworcError("unsupported_media_type", "Compressed bodies are not taken. Send the JSON as it is.");
    }
    return parseJsonBody(body);
  };
  fastify.addContentTypeParser("application/json", { parseAs: "buffer" }, onJson);
  fastify.addContentTypeParser("*", async (request: FastifyRequest) => {
    if (request.is404 || !hasBody(request.headers)) return undefined;
    throw new RaworcError("unsupported_media_type", "Send the body as JSON, with Content-Type: application/json.");
  });
}
