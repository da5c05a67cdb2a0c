/**
 * How much a request weighs before it is decoded. Two bytes on the wire become an object of some sixty, so
 * that 4 MiB of empty amounts would be 130 MB and half a second of everybody's time; no legal request comes
 * near. The fields are counted on the bytes, without making anything of them.
 *
 * W1. A request within every bound of S33 passes.
 * W2. A request too small to hold too many fields is not looked at: that is nearly all of them.
 */
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { reject, type Rejection } from "../../core/rejection.ts";

/** The fields of a message that are messages with many fields themselves, by number. */
interface Skeleton {
  readonly [field: number]: Skeleton;
}

const LEAF: Skeleton = {};
const SUBJECT: Skeleton = { 7: LEAF };
const CHECK: Skeleton = { 1: SUBJECT, 2: LEAF, 3: LEAF, 4: LEAF };
const CONSUME: Skeleton = { ...CHECK, 6: LEAF };
const COMMIT: Skeleton = { 2: LEAF, 3: LEAF, 7: LEAF };
const EXTEND: Skeleton = { 3: LEAF };
const OPERATION: Skeleton = { 1: CHECK, 2: CHECK, 3: COMMIT, 5: EXTEND, 6: CONSUME };

const SKELETONS: ReadonlyMap<string, Skeleton> = new Map([
  ["batch", { 1: OPERATION }],
  ["stream", { 2: OPERATION }],
  ["commit", COMMIT],
  ["extend", EXTEND],
  ["check", CHECK],
  ["reserve", CHECK],
  ["consume", CONSUME],
  ["explain", CHECK],
  ["getBalance", { 1: SUBJECT }],
  ["listReservations", { 1: SUBJECT }],
]);

/** One operation has at most some 330 fields: 64 amounts, 16 dimensions and labels of 3 each, 16 tags. */
const MOST_FIELDS = 4_000;
/** A thousand of them. */
const MOST_FIELDS_OF_MANY = 400_000;
/** The smallest field: a tag and a length. */
const LEAST_FIELD_BYTES = 2;

const LENGTH_DELIMITED = 2;
/** `uint64 sequence = 1`. */
const SEQUENCE_TAG = 1 << 3;

/** The rejection of a request with more fields than any legal one; `method` as the definition names it. */
export function tooHeavy(method: string, bytes: Uint8Array): Rejection | undefined {
  const many = method === "batch" || method === "stream";
  const most = many ? MOST_FIELDS_OF_MANY : MOST_FIELDS;
  if (bytes.length <= most * LEAST_FIELD_BYTES) return undefined;
  const reader = new BinaryReader(bytes);
  if (countFields(reader, bytes.length, SKELETONS.get(method) ?? LEAF, most) <= most)
    return undefined;
  return reject("BAD_SIZE", `the request has more than ${most} fields`);
}

/** Stops soon after `most`. Throws where the bytes do not decode, as the decoder would. */
function countFields(reader: BinaryReader, end: number, skeleton: Skeleton, most: number): number {
  let count = 0;
  while (reader.pos < end && count <= most) {
    const tag = reader.uint32();
    const wireType = tag & 7;
    const inner = skeleton[tag >>> 3];
    count += 1;
    if (inner === undefined || wireType !== LENGTH_DELIMITED) {
      reader.skip(wireType, tag >>> 3);
    } else {
      const length = reader.uint32();
      count += countFields(reader, reader.pos + length, inner, most - count);
    }
  }
  return count;
}

/** `sequence` of a StreamRequest that is not decoded; 0 where it is not given, as protobuf has it. */
export function sequenceOf(bytes: Uint8Array): bigint {
  const reader = new BinaryReader(bytes);
  let sequence = 0n;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === SEQUENCE_TAG) sequence = BigInt(reader.uint64());
    else reader.skip(tag & 7, tag >>> 3);
  }
  return sequence;
}
