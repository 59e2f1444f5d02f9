import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import type { ApiDocument } from "../../packages/server/src/http/openapi/document.ts";
import type { Operation, Response } from "../../packages/server/src/http/openapi/operation.ts";

/** An answer as it came. */
export interface GivenAnswer {
  readonly method: string;
  /** With its query or without. */
  readonly url: string;
  readonly status: number;
  readonly contentType: string | undefined;
  readonly body: string;
}

const PROBLEM = "#/components/responses/Problem";

/** Holds answers to what the server's own OpenAPI document says of them. */
export class AnswerCheck {
  readonly #document: ApiDocument;
  readonly #base: string;
  readonly #ajv: Ajv2020;
  readonly #paths: readonly (readonly [RegExp, string])[];
  /** Operations whose answers were seen, as `get /sessions 200`. */
  readonly seen = new Set<string>();

  constructor(document: ApiDocument) {
    this.#document = document;
    this.#base = document.servers[0]?.url ?? "";
    this.#ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
    this.#ajv.addSchema(document, "document");
    // Literal paths first: /build/latest is no /build/{build_id}.
    const names = Object.keys(document.paths).toSorted((one, other) => one.split("{").length - other.split("{").length);
    this.#paths = names.map((name) => [patternOf(name), name]);
  }

  /** What is wrong with an answer, or undefined. */
  problemOf(answer: GivenAnswer): string | undefined {
    const { method, status } = answer;
    const path = answer.url.split("?", 1)[0] ?? "";
    if (!path.startsWith(`${this.#base}/`) || !/^(GET|POST|PUT|PATCH|DELETE)$/.test(method)) return undefined;
    const name = this.#paths.find(([pattern]) => pattern.test(path.slice(this.#base.length)))?.[1];
    const operation = name === undefined ? undefined : this.#document.paths[name]?.[method.toLowerCase()];
    const tell = (problem: string) => `${method} ${path} ${status}: ${problem}\n${answer.body.slice(0, 500)}`;
    if (operation === undefined && status !== 404 && status !== 405) {
      return path.endsWith("/openapi.json") ? undefined : tell("is not in the document");
    }
    if (operation !== undefined) this.seen.add(`${method.toLowerCase()} ${name} ${status}`);
    const fault = this.#faultOf(answer, operation, name ?? "");
    return fault === undefined ? undefined : tell(fault);
  }

  #faultOf({ body, contentType, method, status }: GivenAnswer, operation: Operation | undefined, path: string) {
    // What programs inside sessions answer is passed on as it is.
    if (operation !== undefined && isPassedOn(operation)) return undefined;
    const described = operation?.responses[String(status)];
    const type = contentType?.split(";", 1)[0];
    if (described === undefined || "$ref" in described) {
      if (status < 400) return "the status is not in the document";
      if (type !== "application/problem+json") return `a problem came as ${type}`;
      return this.#validate(`${PROBLEM}/content/application~1problem+json/schema`, body);
    }
    const content = (described as Response).content ?? {};
    if (Object.keys(content).length === 0 || status === 304) return body === "" ? undefined : "there is a body";
    if (type === undefined || content[type] === undefined) return `${type} is not in the document`;
    if (type !== "application/json") return undefined;
    const key = path.replaceAll("~", "~0").replaceAll("/", "~1");
    const pointer = `#/paths/${key}/${method.toLowerCase()}/responses/${status}/content/application~1json/schema`;
    return this.#validate(pointer, body);
  }

  #validate(pointer: string, body: string): string | undefined {
    const reference = `document${pointer.replaceAll("{", "%7B").replaceAll("}", "%7D")}`;
    const validate: ValidateFunction | undefined = this.#ajv.getSchema(reference);
    if (validate === undefined) return `the document has nothing at ${pointer}`;
    if (validate(JSON.parse(body))) return undefined;
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`).join("; ");
  }
}

function isPassedOn({ responses }: Operation): boolean {
  return Object.values(responses).some((response) => "content" in response && response.content?.["*/*"] !== undefined);
}

function patternOf(path: string): RegExp {
  const pattern = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => (name === "path" ? ".*" : "[^/]*"));
  return new RegExp(`^${pattern}/?$`);
}
