/**
 * Random requests, structure-aware: most fields are legal most of the time, so that a single odd one gets
 * deep; the odd ones are drawn from what has broken such services before.
 */
import type { Rng } from "../../src/ports/rng.ts";
import * as wire from "../../src/gen/imprest/v1/quota.ts";
import type { Some, UnaryName } from "../support/quota-client.ts";

export interface FuzzCase {
  readonly method: UnaryName;
  readonly bytes: Buffer;
  /** The bytes were damaged after encoding: they need not decode. */
  readonly damaged: boolean;
}

const ODD_TEXTS = [
  "",
  " ",
  "a/b",
  "a%2Fb",
  "{tag}",
  "../..",
  "__proto__",
  "constructor",
  "é",
  "e\u0301",
  "\u0000",
  "\uFFFD",
  "💥",
  "*",
  "tenant",
  "x".repeat(64),
  "x".repeat(65),
  "x".repeat(129),
  "x".repeat(257),
  "x".repeat(65_536),
];
const ODD_UNITS = [0n, 1n, -1n, 2n ** 40n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)];
const ODD_LENGTHS = [
  {},
  { seconds: -1n },
  { nanos: -1 },
  { seconds: 1n, nanos: -1 },
  { nanos: 999_999_999 },
  { nanos: 2_147_483_647 },
  { seconds: 86_400n },
  { seconds: 86_400n, nanos: 1 },
  { seconds: 2n ** 63n - 1n },
  { seconds: -(2n ** 63n) },
];
const ODD_ENUMS = [-1, 4, 99, 2_147_483_647, -2_147_483_648];

export interface RequestMaker {
  next(): FuzzCase;
  operation(): Some<wire.Operation>;
  /** Made reservations: later cases use their ids. */
  learn(reservationId: string): void;
}

export function createRequestMaker(rng: Rng): RequestMaker {
  const ids: string[] = ["never-made"];
  const below = (count: number): number => Math.floor(rng.next() * count);
  const chance = (share: number): boolean => rng.next() < share;
  const pick = <T>(items: readonly T[]): T => items[below(items.length)] as T;
  const text = (...usual: readonly string[]): string =>
    chance(0.04) ? pick(ODD_TEXTS) : pick(usual);
  const units = (): bigint => (chance(0.06) ? pick(ODD_UNITS) : BigInt(below(40)));
  const several = <T>(odd: number, item: (i: number) => T): T[] =>
    Array.from({ length: chance(0.02) ? odd : below(3) }, (_, i) => item(i));
  const pairs = (odd: number, keys: readonly string[]): Map<string, string> =>
    new Map(several(odd, (i) => [chance(0.5) ? text(...keys) : `k${i}`, text("r-1", "r-2")]));
  const length = () => (chance(0.3) ? pick(ODD_LENGTHS) : { seconds: BigInt(1 + below(100)) });
  const maybe = <T>(share: number, make: () => T): T | undefined =>
    chance(share) ? make() : undefined;
  const number = (most: number): number => (chance(0.05) ? pick(ODD_ENUMS) : below(most));

  const subject = (): Some<wire.Subject> => ({
    tenant: text("acme", "globex", "nobody"),
    workflow: text("", "chat"),
    agent: text("", "", "bot"),
    dimensions: pairs(1_000, ["run", "session"]),
  });
  const action = (): Some<wire.Action> => ({
    kind: text("llm.chat", "tool.call", ""),
    name: text("gpt-4o", "web.search", "unknown-model", ""),
    tags: several(17, () => text("a", "b")),
    fingerprint: text("", "f1", "f2"),
  });
  const amounts = (): Some<wire.Amount>[] =>
    several(65, (i) => ({ meter: text("tokens", "requests", "runs", `m${i}`), units: units() }));
  const usage = (): Some<wire.ModelUsage> => ({
    model: text("", "", "gpt-4o"),
    ...(chance(0.7) ? { inputTokens: units() } : {}),
    ...(chance(0.7) ? { outputTokens: units() } : {}),
    cacheReadTokens: chance(0.2) ? units() : 0n,
    reasoningTokens: chance(0.2) ? units() : 0n,
    inputBytes: chance(0.2) ? units() : 0n,
  });
  const decided = () => ({
    ...(chance(0.97) ? { subject: subject() } : {}),
    ...(chance(0.9) ? { action: action() } : {}),
    amounts: amounts(),
    ...(chance(0.4) ? { usage: usage() } : {}),
    verbose: chance(0.1),
  });
  const key = (): string => (chance(0.2) ? text("k1", "k2", "k3") : "");
  const id = (): string => (chance(0.05) ? pick(ODD_TEXTS) : pick(ids));

  const makers = {
    check: () => decided(),
    reserve: () => ({
      ...decided(),
      ttl: maybe(0.3, length) as never,
      idempotencyKey: key(),
      dryRun: chance(0.1),
      bestEffort: chance(0.1),
      releaseOnDisconnect: chance(0.05),
    }),
    commit: () => ({
      reservationId: id(),
      amounts: amounts(),
      ...(chance(0.3) ? { usage: usage() } : {}),
      idempotencyKey: key(),
      outcome: number(4) as never,
      partial: chance(0.2),
      labels: pairs(17, ["trace_id"]),
      latency: maybe(0.2, length) as never,
      usageSource: number(4) as never,
    }),
    release: () => ({ reservationId: id(), idempotencyKey: key(), reason: text("", "done") }),
    extend: () => ({
      reservationId: id(),
      by: maybe(0.7, length) as never,
      add: amounts(),
      idempotencyKey: key(),
    }),
    consume: () => ({
      ...decided(),
      idempotencyKey: key(),
      labels: pairs(17, ["trace_id"]),
      usageSource: number(4) as never,
      alreadySpent: chance(0.1),
      outcome: number(4) as never,
    }),
    getBalance: () => ({ subject: subject(), refresh: chance(0.5) }),
    explain: () => decided(),
    listReservations: () => ({
      subject: subject(),
      pageSize: chance(0.3) ? pick([-1, 1, 1_000, 1_001, 2_147_483_647]) : 0,
      pageToken: text("", "", "bad"),
    }),
  };
  const OPERATIONS = ["check", "reserve", "commit", "release", "extend", "consume"] as const;

  function operation(): Some<wire.Operation> {
    if (chance(0.03)) return {};
    const name = pick(OPERATIONS);
    return { op: { $case: name, value: makers[name]() } as never };
  }
  const batch = () => ({
    operations: Array.from({ length: chance(0.02) ? 1_001 : below(6) }, operation),
  });

  /** Flipped bits, a cut, bytes put in, or a part twice. */
  function damage(bytes: Buffer): Buffer {
    const at = below(bytes.length + 1);
    const copy = Buffer.from(bytes);
    switch (below(4)) {
      case 0:
        for (let i = 0; i <= below(4); i += 1) if (copy.length > 0) flip(copy, below(copy.length));
        return copy;
      case 1:
        return copy.subarray(0, at);
      case 2:
        return Buffer.concat([
          copy.subarray(0, at),
          Buffer.from([below(256), below(256)]),
          copy.subarray(at),
        ]);
      default:
        return Buffer.concat([copy, copy.subarray(at)]);
    }
  }
  const flip = (bytes: Buffer, at: number): void => {
    bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8));
  };

  return {
    operation,
    learn: (reservationId) => {
      ids.push(reservationId);
      if (ids.length > 40) ids.shift();
    },
    next() {
      const method = pick([
        ...OPERATIONS,
        ...OPERATIONS,
        "batch",
        "getBalance",
        "explain",
        "listReservations",
      ] as const);
      const request = method === "batch" ? batch() : makers[method]();
      const bytes = encode(method, request);
      const damaged = chance(0.15);
      return { method, bytes: damaged ? damage(bytes) : bytes, damaged };
    },
  };
}

const MESSAGES = {
  check: wire.CheckRequest,
  reserve: wire.ReserveRequest,
  commit: wire.CommitRequest,
  release: wire.ReleaseRequest,
  extend: wire.ExtendRequest,
  consume: wire.ConsumeRequest,
  batch: wire.BatchRequest,
  getBalance: wire.GetBalanceRequest,
  explain: wire.ExplainRequest,
  listReservations: wire.ListReservationsRequest,
} as const;

function encode(method: UnaryName, request: object): Buffer {
  const message = MESSAGES[method] as unknown as {
    fromPartial(value: object): object;
    encode(value: object): { finish(): Uint8Array };
  };
  return Buffer.from(message.encode(message.fromPartial(request)).finish());
}
