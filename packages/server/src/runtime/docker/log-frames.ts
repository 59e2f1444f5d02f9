const HEADER_BYTES = 8;

/** Text of the engine's log stream, whose pieces have a header each: stream, three zeros, length. */
export function readLogFrames(bytes: Buffer): string {
  const pieces: Buffer[] = [];
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const end = at + HEADER_BYTES + bytes.readUInt32BE(at + 4);
    pieces.push(bytes.subarray(at + HEADER_BYTES, end));
    at = end;
  }
  return Buffer.concat(pieces).toString("utf8");
}
