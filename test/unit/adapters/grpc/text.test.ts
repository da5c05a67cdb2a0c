import { expect, test } from "vitest";
import {
  cut,
  isLonger,
  isName,
  LEVEL,
  LOWER,
  quote,
  VALUE,
} from "../../../../src/adapters/grpc/text.ts";

test("each class is exactly its alphabet", () => {
  const alphabets = [
    [LOWER, /^[a-z0-9_.-]$/],
    [LEVEL, /^[A-Za-z0-9_.@-]$/],
    [VALUE, /^[A-Za-z0-9_.@:/+|,-]$/],
  ] as const;
  for (let code = 0; code < 0x200; code += 1) {
    const character = String.fromCharCode(code);
    for (const [characterClass, alphabet] of alphabets) {
      expect([code, isName(character, characterClass, 1)]).toEqual([
        code,
        alphabet.test(character),
      ]);
    }
  }
});

test("characters are code points", () => {
  expect(isLonger("💥💥", 2)).toBe(false);
  expect(isLonger("💥💥💥", 2)).toBe(true);
  expect(isLonger("x".repeat(5), 2)).toBe(true);
});

test("what is cut never ends in half a character: gRPC cannot send one", () => {
  for (const text of [cut("ab💥💥", 4), quote("x".repeat(38) + "💥💥"), cut("\ud800", 5)]) {
    expect(() => encodeURI(text)).not.toThrow();
  }
  expect(cut("abcdef", 4)).toBe("abc…");
});
