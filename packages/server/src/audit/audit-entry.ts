import type { AuditOutcome } from "@raworc/contract";

/** What is told of one call or act. */
export interface AuditEntry {
  /** Null where nobody is known. */
  readonly principal: { readonly id: string; readonly name: string } | null;
  readonly action: string;
  readonly resource: string;
  readonly name: string | null;
  readonly space: { readonly id: string; readonly name: string } | null;
  readonly outcome: AuditOutcome;
  readonly requestId: string | null;
  readonly address: string | null;
  /** Never a value that somebody sent: names of fields, names of things. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** An act of the system itself. */
export function systemEntry(
  action: string,
  resource: string,
  outcome: AuditOutcome,
  details: AuditEntry["details"],
): AuditEntry {
  const nobody = { principal: null, name: null, space: null, requestId: null, address: null };
  return { ...nobody, action, resource, outcome, details };
}

const TEXT_MAX = 255;
const DETAILS_MAX = 8192;

/** A text as its column takes it and gives it back. */
export function boundedText(text: string | null): string | null {
  return text === null ? null : text.slice(0, TEXT_MAX).toWellFormed();
}

/** The details as JSON, left out where they are longer than anything worth telling. */
export function detailsText(details: AuditEntry["details"]): string {
  const text = JSON.stringify(details);
  return text.length <= DETAILS_MAX ? text : JSON.stringify({ left_out: `${text.length} characters` });
}
