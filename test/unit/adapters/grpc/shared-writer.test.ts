import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { expect, test } from "vitest";
import { encodeShared } from "../../../../src/adapters/grpc/shared-writer.ts";

const inTurn = (text: string) => (writer: BinaryWriter) => {
  writer.uint32(10).fork().uint32(10).string(text).join();
};
const alone = (text: string): number[] => {
  const writer = new BinaryWriter();
  inTurn(text)(writer);
  return [...writer.finish()];
};

test("answer after answer is what a writer of its own would have written, short and long", () => {
  for (const length of [3, 1, 300, 0, 70_000, 5]) {
    const text = "x".repeat(length);
    expect([...encodeShared(inTurn(text))]).toEqual(alone(text));
  }
});

test("no memory is taken for an answer: the library still keeps its bytes where they are looked for", () => {
  const first = encodeShared(inTurn("first"));
  expect(encodeShared(inTurn("other")).buffer).toBe(first.buffer);
});

test("what a defect left half written is in no later answer", () => {
  const broken = (writer: BinaryWriter): void => {
    writer.uint32(10).fork().string("half");
    throw new RangeError("too large");
  };
  expect(() => encodeShared(broken)).toThrow("too large");
  expect([...encodeShared(inTurn("whole"))]).toEqual(alone("whole"));
});
