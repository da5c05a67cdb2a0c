import { describe, expect, it } from "vitest";
import {
  boundTwice,
  isLoopback,
  listenAddress,
  peerAddress,
  tcpAddress,
} from "../../../src/cli/address.ts";
import type { Reader } from "../../../src/cli/flag.ts";
import { count, duration, listOf, oneOf, tenantName } from "../../../src/cli/reader.ts";

/** The value, or `undefined` where the text is refused. */
const valueOf = <T>(reader: Reader<T>, text: string): T | undefined => {
  const reading = reader(text);
  return "value" in reading ? reading.value : undefined;
};

describe("durations", () => {
  it.each([
    ["250ms", 250],
    ["1.5s", 1_500],
    ["0s", 0],
    ["2m", 120_000],
    ["24h", 86_400_000],
    ["1d", 86_400_000],
    ["0.29s", 290],
  ])("%s is %i ms", (text, ms) => {
    expect(valueOf(duration(0, 86_400_000), text)).toBe(ms);
  });

  it.each(["", "5", "1y", "-1s", "1,5s", "s", "25h", "1e3s", " 1s", "1.s"])("refuse %j", (text) => {
    expect(duration(0, 86_400_000)(text)).toEqual({
      allowed: "a duration from 0ms to 1d, such as 250ms, 1.5s or 2m",
    });
  });
});

describe("numbers, names and lists", () => {
  it("count whole numbers within their bounds", () => {
    for (const [text, number] of [
      ["1", 1],
      ["1000", 1_000],
    ] as const) {
      expect(valueOf(count(1, 1_000), text)).toBe(number);
    }
    for (const text of ["0", "1001", "-1", "1.5", "1e2", "0x10", "", "٣"]) {
      expect(valueOf(count(1, 1_000), text)).toBeUndefined();
    }
  });

  it("tell the names of a choice, and the nearest to a typo", () => {
    expect(valueOf(oneOf("debug", "info"), "info")).toBe("info");
    expect(oneOf("debug", "info")("inof")).toEqual({ allowed: "debug, info (did you mean info?)" });
    expect(oneOf("debug", "info")("constructor")).toEqual({ allowed: "debug, info" });
  });

  it("take tenants as S33 names them", () => {
    for (const text of ["acme", "a.b-c_d@e", "x".repeat(128)]) {
      expect(valueOf(tenantName, text)).toBe(text);
    }
    for (const text of ["", "a b", "a/b", "é", "x".repeat(129)]) {
      expect(valueOf(tenantName, text)).toBeUndefined();
    }
  });

  it("refuse a list of which one part is wrong", () => {
    expect(valueOf(listOf(count(1, 9)), "1, 2,3")).toEqual([1, 2, 3]);
    expect(valueOf(listOf(count(1, 9)), "1,,3")).toBeUndefined();
    expect(valueOf(listOf(count(1, 9)), "1,12")).toBeUndefined();
  });

  it("tell each part of a list that is wrong, and keep those that are right", () => {
    const allowed = "a whole number from 1 to 9; several are comma-separated";
    expect(listOf(count(1, 9))("x, 2,,12")).toEqual({
      found: '"x"',
      allowed,
      further: [
        { found: '""', allowed },
        { found: '"12"', allowed },
      ],
      readable: [2],
    });
  });
});

describe("addresses", () => {
  it.each([
    ["unix:/run/imprest/imprest.sock", { kind: "unix", path: "/run/imprest/imprest.sock" }],
    ["127.0.0.1:4600", { kind: "tcp", host: "127.0.0.1", port: 4600 }],
    ["localhost:0", { kind: "tcp", host: "localhost", port: 0 }],
    ["[::1]:4600", { kind: "tcp", host: "::1", port: 4600 }],
  ])("%s can be listened on", (text, address) => {
    expect(valueOf(listenAddress, text)).toEqual(address);
  });

  it.each([
    "unix:",
    `unix:/${"x".repeat(107)}`,
    "localhost",
    ":4600",
    "::1:4600",
    "[::g]:4600",
    "127.0.0.1:65536",
    "127.0.0.1:-1",
    "300.0.0.1:4600",
    "http://localhost:4600",
  ])("%s cannot", (text) => {
    expect(valueOf(listenAddress, text)).toBeUndefined();
  });

  it("take a socket only where one is meant", () => {
    expect(valueOf(tcpAddress, "unix:/s")).toBeUndefined();
    expect(valueOf(tcpAddress, "0.0.0.0:4602")).toEqual({
      kind: "tcp",
      host: "0.0.0.0",
      port: 4602,
    });
  });

  it("reach a bare path as a socket, and never port 0", () => {
    expect(valueOf(peerAddress, "/run/s")).toEqual({ kind: "unix", path: "/run/s" });
    expect(valueOf(peerAddress, "localhost:0")).toBeUndefined();
  });

  it.each([
    ["unix:/s", true],
    ["127.0.0.1:1", true],
    ["127.8.9.1:1", true],
    ["localhost:1", true],
    ["[::1]:1", true],
    ["[0:0:0:0:0:0:0:1]:1", true],
    ["0.0.0.0:1", false],
    ["[::]:1", false],
    ["10.0.0.1:1", false],
    ["127.example.com:1", false],
    ["localhost.example.com:1", false],
  ])("%s is loopback: %s", (text, expected) => {
    const address = valueOf(listenAddress, text);
    expect(address === undefined ? "no address" : isLoopback(address)).toBe(expected);
  });

  it("see what would be bound twice, port 0 excepted", () => {
    const of = (texts: readonly string[]) =>
      boundTwice(
        texts.map((text) => valueOf(listenAddress, text)).filter((one) => one !== undefined),
      );
    expect(of(["unix:/s", "127.0.0.1:1", "127.0.0.1:0", "127.0.0.1:0"])).toEqual([]);
    expect(of(["unix:/s", "127.0.0.1:1", "unix:/s", "127.0.0.1:1"])).toEqual([
      "unix:/s",
      "127.0.0.1:1",
    ]);
  });
});
