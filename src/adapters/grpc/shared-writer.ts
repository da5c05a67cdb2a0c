/**
 * One writer for all unary answers: each of its own would begin with a buffer that is too small, and its `finish`
 * copies the bytes into memory that the allocator has to find, a fiftieth of what a call costs. gRPC copies a message
 * into its frame before `sendMessage` returns, so what is handed out here is a view that the next answer overwrites.
 */
import { BinaryWriter } from "@bufbuild/protobuf/wire";

/** What the library's writer keeps to itself, in the version that the lock file names. */
interface Inside {
  readonly buffer: Uint8Array | undefined;
  pos: number;
}

const writer = new BinaryWriter();

/** The bytes that `write` writes: to be sent at once, and not kept. */
export function encodeShared(write: (writer: BinaryWriter) => void): Uint8Array {
  try {
    write(writer);
  } catch (defect) {
    writer.finish(); // what was written so far is nobody's
    throw defect;
  }
  const inside = writer as unknown as Inside;
  if (!inside.buffer) return writer.finish();
  const view = inside.buffer.subarray(0, inside.pos);
  inside.pos = 0;
  return view;
}
