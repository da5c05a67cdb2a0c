/**
 * Frames: how the bytes of a journal tell what was written whole.
 *
 *   payload's length, 4 bytes | CRC-32 of all that follows, 4 | number, 8 | payload      little endian
 *
 *   FR1  A frame that was cut, or in which a bit has changed, is not read, and nothing after it is.
 *   FR2  Numbers go up by one, from file to file: a frame or a file that is missing is noticed.
 */
import { crc32 } from "node:zlib";

const HEAD = 16;

export function encodeFrame(number: number, payload: string): Buffer {
  const length = Buffer.byteLength(payload);
  const frame = Buffer.allocUnsafe(HEAD + length);
  frame.writeUInt32LE(length, 0);
  frame.writeBigUInt64LE(BigInt(number), 8);
  frame.write(payload, HEAD);
  frame.writeUInt32LE(crc32(frame.subarray(8)), 4);
  return frame;
}

interface Frame {
  readonly number: number;
  readonly payload: string;
  /** Where the next one begins. */
  readonly end: number;
}

/** Whether the bytes end before the frame that begins at `at` does, as far as its length can be trusted. */
const isCut = (bytes: Buffer, at: number): boolean =>
  at + HEAD > bytes.length || at + HEAD + bytes.readUInt32LE(at) > bytes.length;

/** The frame that begins at `at`, if there is a whole one (FR1). */
function frameAt(bytes: Buffer, at: number): Frame | undefined {
  if (isCut(bytes, at)) return undefined;
  const length = bytes.readUInt32LE(at);
  const end = at + HEAD + length;
  if (length === 0) return undefined;
  if (crc32(bytes.subarray(at + 8, end)) !== bytes.readUInt32LE(at + 4)) return undefined;
  const number = Number(bytes.readBigUInt64LE(at + 8));
  return { number, payload: bytes.toString("utf8", at + HEAD, end), end };
}

export interface Reading {
  readonly payloads: readonly string[];
  /** Up to where the bytes are good. */
  readonly end: number;
  /** The number that comes next; undefined: none was read, and none was expected. */
  readonly next: number | undefined;
  /** The bytes that follow, and whether more of them cannot make a frame. */
  readonly rest: Buffer;
  readonly isBad: boolean;
}

/** All frames from the start of some bytes. `expected`: the number of the first one, where it is known (FR2). */
export function readFrames(bytes: Buffer, expected: number | undefined): Reading {
  const payloads: string[] = [];
  let next = expected;
  let end = 0;
  for (let frame = frameAt(bytes, 0); frame; frame = frameAt(bytes, end)) {
    if (next !== undefined && frame.number !== next) break;
    payloads.push(frame.payload);
    next = frame.number + 1;
    ({ end } = frame);
  }
  return { payloads, end, next, rest: bytes.subarray(end), isBad: !isCut(bytes, end) };
}

/** Whether a whole frame lies anywhere from `from` on: then what is bad there is not the end of the file. */
export function holdsFrame(bytes: Buffer, from: number): boolean {
  for (let at = from; at + HEAD < bytes.length; at++) if (frameAt(bytes, at)) return true;
  return false;
}
