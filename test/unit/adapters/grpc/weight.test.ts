import { describe, expect, test } from "vitest";
import { isRejection } from "../../../../src/core/rejection.ts";
import { readBatched } from "../../../../src/adapters/grpc/read-request.ts";
import { sequenceOf, tooHeavy } from "../../../../src/adapters/grpc/weight.ts";
import {
  BatchRequest,
  ReserveRequest,
  StreamRequest,
} from "../../../../src/gen/imprest/v1/quota.ts";

const times = <T>(count: number, item: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => item(i));
const pairs = (): Map<string, string> => new Map(times(16, (i) => [`k${i}`, "v"] as const));
const repeated = (bytes: readonly number[], count: number): Buffer =>
  Buffer.alloc(bytes.length * count, Buffer.from(bytes));

/** A thousand operations with as many fields as S33 allows, in as few bytes as they can have. */
const LARGEST = BatchRequest.encode(
  BatchRequest.fromPartial({
    operations: times(1000, () => ({
      op: {
        $case: "consume",
        value: {
          subject: { tenant: "t", dimensions: pairs() },
          action: { kind: "k", name: "n", tags: times(16, (i) => `${i}`), fingerprint: "f" },
          amounts: times(64, (i) => ({ meter: `${i}`, units: 1n })),
          usage: { model: "m", inputTokens: 1n, outputTokens: 1n, inputBytes: 1n, outputBytes: 1n },
          idempotencyKey: "k".repeat(256),
          labels: pairs(),
          outcome: 1,
          usageSource: 1,
        },
      },
    })),
  }),
).finish();

describe("W1: what is legal passes", () => {
  test("a Batch of a thousand operations at every bound", () => {
    expect(LARGEST.length).toBeGreaterThan(800_000);
    expect(tooHeavy("batch", LARGEST)).toBeUndefined();
    const { operations } = BatchRequest.decode(LARGEST);
    expect(operations.map(readBatched).filter(isRejection)).toEqual([]);
  });

  test("the sequence of a Stream is found without decoding it", () => {
    const sequence = 2n ** 64n - 1n;
    const bytes = StreamRequest.encode(
      StreamRequest.fromPartial({ sequence, operations: [{}, {}] }),
    );
    expect(sequenceOf(bytes.finish())).toBe(sequence);
    expect(sequenceOf(repeated([0x12, 0], 3))).toBe(0n);
  });
});

describe("what no legal request has", () => {
  test.each([
    ["reserve", "amounts", [0x1a, 0]],
    ["reserve", "fields that nobody knows", [0x98, 6, 1]],
    ["commit", "labels", [0x3a, 0]],
    ["batch", "operations", [0x0a, 0]],
    ["stream", "operations", [0x12, 0]],
    ["stream", "pairs of amounts in operations", [0x12, 6, 0x12, 4, 0x1a, 0, 0x1a, 0]],
  ])("%s: a million %s", (method, _, bytes) => {
    expect(tooHeavy(method, repeated(bytes, 1_000_000))).toMatchObject({ reason: "BAD_SIZE" });
  });

  test("nested, in one field of the request", () => {
    const tags = repeated([0x1a, 0], 100_000);
    const request = Buffer.concat([Buffer.from([0x12, 0xc0, 0x9a, 0x0c]), tags]);
    expect(ReserveRequest.decode(request).action?.tags).toHaveLength(100_000);
    expect(tooHeavy("reserve", request)).toMatchObject({ reason: "BAD_SIZE" });
  });
});

test("W2: what is too small to hold that many is not looked at, though it would not decode", () => {
  expect(tooHeavy("reserve", Buffer.alloc(8_000, 0xff))).toBeUndefined();
  expect(() => tooHeavy("reserve", Buffer.alloc(8_001, 0xff))).toThrow("invalid varint");
});
