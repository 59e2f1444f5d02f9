import { WORKER_ERRORS } from "@raworc/contract";
import { type AgentOutcome, type AgentTask, failureCode, refused, type Tokens } from "./agent-outcome.ts";
import { isRecord, type RpcError } from "./rpc-peer.ts";

/** What an adapter's response says of a message. It comes from beside hostile code. */
export function outcomeOf(result: unknown, task: AgentTask): AgentOutcome {
  const { content, tokens, cost } = isRecord(result) ? result : {};
  try {
    if (typeof content === "string" && content !== "") task.onPart(content);
  } catch (error) {
    return refused(error);
  }
  return {
    status: "done",
    ...(isTokens(tokens) ? { tokens } : {}),
    ...(typeof cost === "number" ? { cost } : {}),
  };
}

/** Why a message failed, as an adapter's error says. */
export function failureOf({ code, data }: RpcError): ReturnType<typeof failureCode> {
  return failureCode(isRecord(data) ? data["failure"] : undefined, failureByNumber(code));
}

function isTokens(value: unknown): value is Tokens {
  if (!isRecord(value)) return false;
  const entries = Object.entries(value);
  return entries.every(([key, count]) => (key === "input" || key === "output") && typeof count === "number");
}

function failureByNumber(number: number): keyof typeof WORKER_ERRORS {
  const names = Object.keys(WORKER_ERRORS) as (keyof typeof WORKER_ERRORS)[];
  return names.find((name) => WORKER_ERRORS[name] === number) ?? "handler_failed";
}
