/**
 * Frames of a terminal between control plane and host, each way: a byte of kind, four bytes of length, the content.
 * `data` is bytes of the terminal, `control` a JSON text of TerminalResize or TerminalExit.
 */
export const FRAME = { data: 0, control: 1 } as const;
export type FrameKind = (typeof FRAME)[keyof typeof FRAME];

export interface Frame {
  readonly kind: FrameKind;
  readonly content: Buffer;
}

const HEAD_BYTES = 5;
/** Whoever sends more than this in one frame is not one of us. */
export const FRAME_MAX_BYTES = 1024 * 1024;

export function frameHead(kind: FrameKind, length: number): Buffer {
  const head = Buffer.allocUnsafe(HEAD_BYTES);
  head.writeUInt8(kind, 0);
  head.writeUInt32BE(length, 1);
  return head;
}

export function encodeFrame(kind: FrameKind, content: Buffer): Buffer {
  return Buffer.concat([frameHead(kind, content.length), content]);
}

/** Puts pieces of a stream together to frames. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** Throws RangeError for what is no frame. */
  push(piece: Buffer): Frame[] {
    let rest = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    const frames: Frame[] = [];
    while (rest.length >= HEAD_BYTES) {
      const kind = rest.readUInt8(0);
      const length = rest.readUInt32BE(1);
      if ((kind !== FRAME.data && kind !== FRAME.control) || length > FRAME_MAX_BYTES) {
        throw new RangeError("This is no frame of a terminal");
      }
      if (rest.length < HEAD_BYTES + length) break;
      frames.push({ kind, content: rest.subarray(HEAD_BYTES, HEAD_BYTES + length) });
      rest = rest.subarray(HEAD_BYTES + length);
    }
    this.#rest = rest;
    return frames;
  }
}
