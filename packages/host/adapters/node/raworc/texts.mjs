/** A reply: text as it is, nothing as nothing, everything else as JSON. */
export function resultText(value) {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("utf8");
  return JSON.stringify(value, (_key, inner) => (typeof inner === "bigint" ? String(inner) : inner)) ?? String(value);
}

/** A streamed piece: also the message chunks that frameworks yield. */
export function pieceText(piece) {
  if (isMessage(piece)) return contentText(piece.content);
  return resultText(piece);
}

/** The text of a chat message's content: a text, or a list of blocks of which some are text. */
export function contentText(content) {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((block) => (typeof block === "string" ? block : blockText(block))).join("");
}

export function isMessage(value) {
  return (
    typeof value === "object" &&
    value !== null &&
    (typeof value.getType === "function" || typeof value._getType === "function")
  );
}

export function messageType(message) {
  return message.getType?.() ?? message._getType?.();
}

function blockText(block) {
  return (block?.type === "text" || block?.type === "output_text") && typeof block.text === "string" ? block.text : "";
}
