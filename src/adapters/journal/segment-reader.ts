/** Reads the frames of a file a piece at a time: a journal may be larger than the memory that there is. */
import { open } from "node:fs/promises";
import { readFrames } from "./frame.ts";

const PIECE = 1024 * 1024;

export interface SegmentReading {
  /** Up to where the file is good. */
  readonly end: number;
  readonly size: number;
  /** The number of the frame that comes next; undefined: none was read, and none was expected. */
  readonly next: number | undefined;
}

/** `take` hears of each payload in its turn. `expected`: the number of the first frame, where it is known. */
export async function readSegment(
  path: string,
  expected: number | undefined,
  take: (payload: string) => void,
): Promise<SegmentReading> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    let next = expected;
    let end = 0;
    let rest: Buffer = Buffer.alloc(0);
    for (let at = 0; at < size; at = end + rest.length) {
      // Twice what is there already: a frame of many pieces is not copied again with each of them.
      const piece = Buffer.allocUnsafe(Math.min(Math.max(PIECE, rest.length), size - at));
      const { bytesRead } = await file.read(piece, 0, piece.length, at);
      if (bytesRead === 0) break;
      const reading = readFrames(Buffer.concat([rest, piece.subarray(0, bytesRead)]), next);
      for (const payload of reading.payloads) take(payload);
      ({ next, rest } = reading);
      end += reading.end;
      if (reading.isBad) break;
    }
    return { end, size, next };
  } finally {
    await file.close();
  }
}
