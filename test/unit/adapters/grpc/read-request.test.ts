import { describe, expect, test } from "vitest";
import {
  readBatched,
  readCheck,
  readCommit,
  readConsume,
  readExtend,
  readFilter,
  readRelease,
  readReserve,
  readReserveAlone,
  readStreamed,
} from "../../../../src/adapters/grpc/read-request.ts";
import { isRejection } from "../../../../src/core/rejection.ts";
import * as wire from "../../../../src/gen/imprest/v1/quota.ts";
import type { Some } from "../../../support/quota-client.ts";

/** As it comes from the wire: encoded and decoded. */
const over = <T>(message: wire.MessageFns<T>, value: Some<NoInfer<T>>): T =>
  message.decode(message.encode(message.fromPartial(value as never)).finish());
const aReserve = (value: Some<wire.ReserveRequest> = {}) => over(wire.ReserveRequest, value);
const aCommit = (value: Some<wire.CommitRequest> = {}) =>
  over(wire.CommitRequest, { reservationId: "r", ...value });

function flawOf(read: object): { readonly reason: string; readonly field: string | undefined } {
  if (!isRejection(read)) throw new Error("it was accepted");
  return { reason: read.reason, field: read.field };
}
const times = <T>(count: number, item: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => item(i));
const entries = (count: number): Map<string, string> =>
  new Map(times(count, (i) => [`k${i}`, "v"] as const));
const long = (length: number): string => "x".repeat(length);

const subjects: readonly [string, Some<wire.Subject>, string, string][] = [
  ["a space", { tenant: "a b" }, "BAD_NAME", "subject.tenant"],
  ["129 characters", { workflow: long(129) }, "BAD_NAME", "subject.workflow"],
  ["a slash", { app: "a/b" }, "BAD_NAME", "subject.app"],
  ["a letter with an accent", { agent: "é" }, "BAD_NAME", "subject.agent"],
  ["invalid UTF-8", { toolset: "a\uFFFD" }, "BAD_NAME", "subject.toolset"],
  ["17 dimensions", { dimensions: entries(17) }, "BAD_SIZE", "subject.dimensions"],
  ["1,000 dimensions", { dimensions: entries(1000) }, "BAD_SIZE", "subject.dimensions"],
  ["an upper-case key", { dimensions: new Map([["Run", "1"]]) }, "BAD_NAME", "subject.dimensions"],
  ["an empty key", { dimensions: new Map([["", "1"]]) }, "BAD_NAME", "subject.dimensions"],
  ["an empty value", { dimensions: new Map([["run", ""]]) }, "BAD_NAME", "subject.dimensions[run]"],
  [
    "a value of 257 characters",
    { dimensions: new Map([["run", long(257)]]) },
    "BAD_NAME",
    "subject.dimensions[run]",
  ],
  [
    "a fixed level as a dimension",
    { dimensions: new Map([["tenant", "acme"]]) },
    "BAD_NAME",
    "subject.dimensions",
  ],
];

const requests: readonly [string, Some<wire.ReserveRequest>, string, string][] = [
  ["an upper-case kind", { action: { kind: "LLM" } }, "BAD_NAME", "action.kind"],
  ["a kind of 65", { action: { kind: long(65) } }, "BAD_NAME", "action.kind"],
  ["a space in a name", { action: { name: "gpt 4" } }, "BAD_NAME", "action.name"],
  ["17 tags", { action: { tags: times(17, String) } }, "BAD_SIZE", "action.tags"],
  ["a bad tag", { action: { tags: ["ok", "NO"] } }, "BAD_NAME", "action.tags[1]"],
  [
    "a fingerprint of 129",
    { action: { fingerprint: long(129) } },
    "BAD_SIZE",
    "action.fingerprint",
  ],
  [
    "65 amounts",
    { amounts: times(65, (i) => ({ meter: `m${i}`, units: 1n })) },
    "BAD_SIZE",
    "amounts",
  ],
  ["an empty meter", { amounts: [{ units: 1n }] }, "BAD_NAME", "amounts[0].meter"],
  ["a bad meter", { amounts: [{ meter: "A", units: 1n }] }, "BAD_NAME", "amounts[0].meter"],
  ["-1 units", { amounts: [{ meter: "a", units: -1n }] }, "BAD_AMOUNT", "amounts[0].units"],
  ["2^53 units", { amounts: [{ meter: "a", units: 2n ** 53n }] }, "BAD_AMOUNT", "amounts[0].units"],
  [
    "2^53+1 units",
    { amounts: [{ meter: "a", units: 2n ** 53n + 1n }] },
    "BAD_AMOUNT",
    "amounts[0].units",
  ],
  [
    "the least int64",
    { amounts: [{ meter: "a", units: -(2n ** 63n) }] },
    "BAD_AMOUNT",
    "amounts[0].units",
  ],
  [
    "S2: a meter twice",
    { amounts: times(3, (i) => ({ meter: i === 1 ? "b" : "a", units: 1n })) },
    "DUPLICATE_METER",
    "amounts[2].meter",
  ],
  ["a bad model", { usage: { model: "a b" } }, "BAD_NAME", "usage.model"],
  ["negative tokens", { usage: { inputTokens: -1n } }, "BAD_USAGE", "usage.input_tokens"],
  ["too many bytes", { usage: { outputBytes: 2n ** 53n } }, "BAD_USAGE", "usage.output_bytes"],
  [
    "S5: cache above input",
    { usage: { inputTokens: 10n, cacheReadTokens: 6n, cacheWriteTokens: 5n } },
    "BAD_USAGE",
    "usage.cache_write_tokens",
  ],
  [
    "S5: reasoning above output",
    { usage: { outputTokens: 1n, reasoningTokens: 2n } },
    "BAD_USAGE",
    "usage.reasoning_tokens",
  ],
  ["a ttl of 999 ms", { ttl: { nanos: 999_000_000 } }, "BAD_TTL", "ttl"],
  ["a ttl just below 1 s", { ttl: { nanos: 999_999_999 } }, "BAD_TTL", "ttl"],
  ["a ttl just above 24 h", { ttl: { seconds: 86_400n, nanos: 1 } }, "BAD_TTL", "ttl"],
  ["a ttl of nothing", { ttl: {} }, "BAD_TTL", "ttl"],
  ["a ttl of both signs", { ttl: { seconds: 5n, nanos: -1 } }, "BAD_TTL", "ttl"],
  ["a ttl of no Duration", { ttl: { seconds: 5n, nanos: 2_000_000_000 } }, "BAD_TTL", "ttl"],
  ["a key of 257", { idempotencyKey: long(257) }, "BAD_SIZE", "idempotency_key"],
  ["a key that is no UTF-8", { idempotencyKey: "\uFFFD" }, "BAD_NAME", "idempotency_key"],
];

const commits: readonly [string, Some<wire.CommitRequest>, string, string][] = [
  ["no id", { reservationId: "" }, "MISSING_FIELD", "reservation_id"],
  ["an id of 65", { reservationId: long(65) }, "BAD_SIZE", "reservation_id"],
  ["an unknown outcome", { outcome: 4 as never }, "BAD_ENUM", "outcome"],
  ["a negative outcome", { outcome: -1 as never }, "BAD_ENUM", "outcome"],
  ["an unknown source", { usageSource: 9 as never }, "BAD_ENUM", "usage_source"],
  ["17 labels", { labels: entries(17) }, "BAD_SIZE", "labels"],
  ["a label key of 65", { labels: new Map([[long(65), ""]]) }, "BAD_SIZE", "labels"],
  ["a label value of 257", { labels: new Map([["a", long(257)]]) }, "BAD_SIZE", 'labels["a"]'],
  ["a negative latency", { latency: { seconds: -1n } }, "BAD_TTL", "latency"],
];

describe("S33: what is refused, and the field that it names", () => {
  test.each(subjects)("subject: %s", (_, subject, reason, field) => {
    expect(flawOf(readCheck(over(wire.CheckRequest, { subject })))).toEqual({ reason, field });
    expect(flawOf(readFilter(over(wire.ListReservationsRequest, { subject })))).toMatchObject({
      reason,
    });
  });

  test.each(requests)("request: %s", (_, request, reason, field) => {
    expect(flawOf(readReserve(aReserve(request)))).toEqual({ reason, field });
  });

  test.each(commits)("commit: %s", (_, request, reason, field) => {
    expect(flawOf(readCommit(aCommit(request)))).toEqual({ reason, field });
  });

  test("extend: a negative span; release: a long reason; list: a page of 1,001", () => {
    const extend = over(wire.ExtendRequest, { reservationId: "r", by: { nanos: -1 } });
    expect(flawOf(readExtend(extend))).toEqual({ reason: "BAD_TTL", field: "by" });
    const add = over(wire.ExtendRequest, { reservationId: "r", add: [{ meter: "", units: 1n }] });
    expect(flawOf(readExtend(add))).toEqual({ reason: "BAD_NAME", field: "add[0].meter" });
    const release = over(wire.ReleaseRequest, { reservationId: "r", reason: long(257) });
    expect(flawOf(readRelease(release))).toEqual({ reason: "BAD_SIZE", field: "reason" });
    for (const pageSize of [1001, -1]) {
      const list = over(wire.ListReservationsRequest, { pageSize });
      expect(flawOf(readFilter(list))).toEqual({ reason: "BAD_SIZE", field: "page_size" });
    }
  });

  test("inside a message the path begins with the operation's place", () => {
    const commit = over(wire.Operation, {
      op: { $case: "commit", value: { outcome: 7 as never } },
    });
    expect(flawOf(readStreamed(commit, 3))).toEqual({
      reason: "MISSING_FIELD",
      field: "operations[3].commit.reservation_id",
    });
    expect(flawOf(readStreamed(over(wire.Operation, {}), 0))).toEqual({
      reason: "EMPTY_OPERATION",
      field: "operations[0]",
    });
  });

  test("S34: release_on_disconnect is for Stream alone", () => {
    const request = aReserve({ releaseOnDisconnect: true });
    const operation: wire.Operation = { op: { $case: "reserve", value: request } };
    const reason = "NOT_ALLOWED_HERE";
    expect(flawOf(readReserveAlone(request))).toEqual({ reason, field: "release_on_disconnect" });
    expect(flawOf(readBatched(operation, 1))).toEqual({
      reason,
      field: "operations[1].reserve.release_on_disconnect",
    });
    expect(readStreamed(operation, 1)).toMatchObject({ op: "reserve" });
  });
});

describe("what is accepted", () => {
  test("S33: everything at its bound", () => {
    const request = aReserve({
      subject: {
        tenant: "A-Za-z_.@9".padEnd(128, "x"),
        dimensions: new Map(
          times(16, (i) => [`k${i}`.padEnd(64, "_"), "a:/+|,-".padEnd(256, "v")]),
        ),
      },
      action: {
        kind: "llm.chat".padEnd(64, "-"),
        name: "org/model:1+2|3,4@5".padEnd(256, "x"),
        tags: times(16, (i) => `t${i}`),
        fingerprint: "é".repeat(128),
      },
      amounts: times(64, (i) => ({ meter: `m${i}`, units: 2n ** 53n - 1n })),
      usage: { inputTokens: 2n ** 53n - 1n, cacheReadTokens: 2n ** 53n - 1n },
      ttl: { seconds: 86_400n },
      idempotencyKey: "💥".repeat(256),
    });
    expect(readReserve(request)).toMatchObject({ op: "reserve", ttlMs: 86_400_000 });
    const commit = aCommit({
      reservationId: long(64),
      labels: new Map(times(16, (i) => [`${i}`.padEnd(64, "k"), "v".repeat(256)])),
    });
    expect(readCommit(commit)).toMatchObject({ op: "commit" });
  });

  test("S33: no key or name is special", () => {
    const dimensions = new Map([
      ["__proto__", "a"],
      ["constructor", "b"],
    ]);
    const read = readCheck(over(wire.CheckRequest, { subject: { dimensions } }));
    expect(isRejection(read) || [...read.subject.dimensions]).toEqual([...dimensions]);
    const amounts = [{ meter: "__proto__", units: 1n }];
    expect(readReserve(aReserve({ amounts }))).toMatchObject({
      amounts: [{ meter: "__proto__", units: 1 }],
    });
  });

  test("nothing at all: defaults, and S5a's difference between absent and 0", () => {
    expect(readReserve(aReserve())).toEqual({
      op: "reserve",
      subject: {
        ...{ tenant: "", workspace: "", app: "", workflow: "", agent: "", toolset: "" },
        dimensions: new Map(),
      },
      action: { kind: "", name: "", tags: [], fingerprint: "" },
      amounts: [],
      usage: undefined,
      verbose: false,
      ttlMs: 60_000,
      idempotencyKey: "",
      dryRun: false,
      bestEffort: false,
    });
    expect(readReserve(aReserve({ usage: { inputTokens: 0n } }))).toMatchObject({
      usage: { inputTokens: 0, outputTokens: undefined, cacheReadTokens: 0 },
    });
    expect(readFilter(over(wire.ListReservationsRequest, {}))).toMatchObject({ pageSize: 100 });
    expect(readExtend(over(wire.ExtendRequest, { reservationId: "r" }))).toMatchObject({ byMs: 0 });
  });

  test("UNSPECIFIED is SUCCESS and PROVIDER; the others are themselves", () => {
    expect(readCommit(aCommit())).toMatchObject({ outcome: "success", usageSource: "provider" });
    const consume = over(wire.ConsumeRequest, { outcome: 3, usageSource: 2, alreadySpent: true });
    expect(readConsume(consume)).toMatchObject({
      outcome: "aborted",
      usageSource: "estimated",
      alreadySpent: true,
    });
    expect(readCommit(aCommit({ outcome: 2, usageSource: 3 }))).toMatchObject({
      outcome: "error",
      usageSource: "reserved",
    });
  });

  test("a part of a millisecond counts as a whole one", () => {
    expect(readReserve(aReserve({ ttl: { seconds: 1n, nanos: 1 } }))).toMatchObject({
      ttlMs: 1_001,
    });
    expect(readCommit(aCommit({ latency: { nanos: 1_500_000 } }))).toMatchObject({ latencyMs: 2 });
  });
});
