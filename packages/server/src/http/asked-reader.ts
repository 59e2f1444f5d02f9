import { Id, type Route } from "@raworc/contract";
import { z } from "zod";
import { hiddenError } from "../domain/access.ts";
import { validationError } from "./problems.ts";
import type { RunningCall } from "./running-call.ts";

/** The schema of a part that a route does not have. */
export const NOTHING = z.strictObject({});
const EMPTY = Object.freeze({});
/** As the server makes them; others are looked at more closely. */
const USUAL_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Reads what calls of one route ask: each part is checked against the contract, or known to be good. */
export function askedReader(definition: Route): (call: RunningCall) => void {
  const isBytes = definition.bytes === true;
  const isUpdate = definition.method === "PUT" && !isBytes;
  const nothingAsked = nothingFrom(definition.query);
  const knows = idParameters(definition);
  return (call) => {
    const { request } = call;
    call.params = knows?.(request.params) === true ? request.params : paramsOf(definition, request.params);
    call.query =
      nothingAsked !== undefined && isEmpty(request.query)
        ? nothingAsked
        : parsePart(definition.query, request.query, "query");
    if (isBytes || (definition.body === undefined && request.body === undefined)) call.body = EMPTY;
    else call.body = parsePart(definition.body, request.body === undefined ? {} : request.body, "body");
    if (isUpdate) call.note.details = { fields: Object.keys(call.body as object) };
  };
}

function paramsOf(definition: Route, given: unknown): unknown {
  const params = (definition.params ?? NOTHING).safeParse(given);
  // A name or id that can't exist is nothing that anybody could find.
  if (!params.success) throw hiddenError();
  return params.data;
}

/** What a query means that is empty, as most are; undefined where it is refused. */
function nothingFrom(schema: z.ZodType | undefined): unknown {
  const result = (schema ?? NOTHING).safeParse({});
  return result.success ? Object.freeze(result.data) : undefined;
}

function isEmpty(query: unknown): boolean {
  for (const _ in query as object) return false;
  return true;
}

/** A test for parameters that are an id and nothing else: one look tells that they are good. Undefined for all others. */
function idParameters({ params }: Route): ((given: unknown) => boolean) | undefined {
  const isId = params instanceof z.ZodObject && Object.keys(params.shape).join() === "id" && params.shape["id"] === Id;
  return isId ? (given) => USUAL_ID.test((given as { id: string }).id) : undefined;
}

function parsePart(schema: z.ZodType | undefined, input: unknown, origin: "query" | "body"): unknown {
  const result = (schema ?? NOTHING).safeParse(input);
  if (!result.success) throw validationError(result.error, input, origin);
  return result.data;
}
