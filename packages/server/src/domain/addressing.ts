import { NAME_PATTERN } from "@raworc/contract";

/** `@name` at the start of a message's content, when it can be a name. */
export function mentionOf(content: string): string | undefined {
  const name = /^\s*@([^\s:,]+)/.exec(content)?.[1];
  return name !== undefined && NAME_PATTERN.test(name) ? name : undefined;
}

/** Who is to answer: `explicit` is the body's `agent`. Undefined when nobody is addressed and nobody is the only one. */
export function addresseeOf(
  content: string,
  explicit: string | undefined,
  agents: readonly string[],
): string | undefined {
  if (explicit !== undefined) return explicit;
  const mention = mentionOf(content);
  if (mention !== undefined && agents.includes(mention)) return mention;
  return agents.length === 1 ? agents[0] : undefined;
}

/** The content as the handler gets it: without the mention that brought it there. */
export function contentForAgent(content: string, agent: string): string {
  if (mentionOf(content) !== agent) return content;
  return content.replace(/^\s*@[^\s:,]+[:,]?\s*/, "");
}
