import { expect, test } from "vitest";
import { formatAddress, parseAddress } from "../../../../src/adapters/grpc/address.ts";

test.each([
  "unix:/run/imprest.sock",
  "unix:relative.sock",
  "127.0.0.1:4600",
  "[::1]:0",
  "host-1.x:65535",
])("%s is read and written back", (text) => {
  const address = parseAddress(text);
  expect(address && formatAddress(address)).toBe(text);
});

test.each([
  "",
  "unix:",
  `unix:/${"x".repeat(107)}`,
  "4600",
  ":4600",
  "a:70000",
  "::1:4600",
  "a b:1",
  "h:1x",
])("%j is no address", (text) => {
  expect(parseAddress(text)).toBeUndefined();
});
