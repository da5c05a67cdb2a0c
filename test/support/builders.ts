/** Operations with every default filled in, so that a test states only what it is about. */
import type {
  Action,
  Amount,
  Check,
  Commit,
  Consume,
  Extend,
  ModelUsage,
  Release,
  Reserve,
  Subject,
} from "../../src/core/operation.ts";
import { MINUTE } from "../../src/core/time.ts";
import type { Call } from "../../src/ports/quota.ts";

/** Amounts as a test likes to write them: `{ usd_micros: 500 }`, or the list itself. */
export type AmountsLike = Readonly<Record<string, number>> | readonly Amount[];

const isList = (amounts: AmountsLike): amounts is readonly Amount[] => Array.isArray(amounts);

export const someAmounts = (amounts: AmountsLike): readonly Amount[] =>
  isList(amounts) ? amounts : Object.entries(amounts).map(([meter, units]) => ({ meter, units }));

type Dimensions = Readonly<Record<string, string>>;
export type SubjectLike = Partial<Omit<Subject, "dimensions">> & {
  readonly dimensions?: Dimensions | ReadonlyMap<string, string>;
};

export function aSubject(parts: SubjectLike = {}): Subject {
  const { dimensions, ...levels } = parts;
  return {
    tenant: "acme",
    workspace: "",
    app: "",
    workflow: "",
    agent: "",
    toolset: "",
    ...levels,
    dimensions:
      dimensions instanceof Map
        ? dimensions
        : new Map(Object.entries((dimensions ?? {}) as Dimensions)),
  };
}

export const anAction = (parts: Partial<Action> = {}): Action => ({
  kind: "llm.completion",
  name: "",
  tags: [],
  fingerprint: "",
  ...parts,
});

/** Counts are absent (`undefined`), not 0, unless given. */
export const aUsage = (parts: Partial<ModelUsage> = {}): ModelUsage => ({
  model: "",
  inputTokens: undefined,
  outputTokens: undefined,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  inputBytes: 0,
  outputBytes: 0,
  ...parts,
});

interface RequestParts {
  readonly subject?: SubjectLike;
  readonly action?: Partial<Action>;
  readonly amounts?: AmountsLike;
  readonly usage?: Partial<ModelUsage>;
  readonly verbose?: boolean;
}
type Parts<Op, Own extends keyof Op> = RequestParts & Partial<Pick<Op, Own>>;

const aRequest = (parts: RequestParts) => ({
  subject: aSubject(parts.subject),
  action: anAction(parts.action),
  amounts: someAmounts(parts.amounts ?? []),
  usage: parts.usage === undefined ? undefined : aUsage(parts.usage),
  verbose: parts.verbose ?? false,
});

export const aCheck = (parts: RequestParts = {}): Check => ({ op: "check", ...aRequest(parts) });

export const aReserve = (
  parts: Parts<Reserve, "ttlMs" | "idempotencyKey" | "dryRun" | "bestEffort"> = {},
): Reserve => ({
  op: "reserve",
  ttlMs: parts.ttlMs ?? MINUTE,
  idempotencyKey: parts.idempotencyKey ?? "",
  dryRun: parts.dryRun ?? false,
  bestEffort: parts.bestEffort ?? false,
  ...aRequest(parts),
});

export const aConsume = (
  parts: Parts<
    Consume,
    "idempotencyKey" | "labels" | "usageSource" | "alreadySpent" | "outcome"
  > = {},
): Consume => ({
  op: "consume",
  idempotencyKey: parts.idempotencyKey ?? "",
  labels: parts.labels ?? new Map(),
  usageSource: parts.usageSource ?? "provider",
  alreadySpent: parts.alreadySpent ?? false,
  outcome: parts.outcome ?? "success",
  ...aRequest(parts),
});

type CommitParts = Partial<Omit<Commit, "op" | "reservationId" | "amounts" | "usage">> & {
  readonly amounts?: AmountsLike;
  readonly usage?: Partial<ModelUsage>;
};

export function aCommit(reservationId: string, parts: CommitParts = {}): Commit {
  const { amounts, usage, ...rest } = parts;
  return {
    op: "commit",
    reservationId,
    idempotencyKey: "",
    outcome: "success",
    partial: false,
    labels: new Map(),
    latencyMs: undefined,
    usageSource: "provider",
    ...rest,
    amounts: someAmounts(amounts ?? []),
    usage: usage === undefined ? undefined : aUsage(usage),
  };
}

export const aRelease = (reservationId: string, parts: Partial<Release> = {}): Release => ({
  op: "release",
  idempotencyKey: "",
  reason: "",
  ...parts,
  reservationId,
});

export const anExtend = (
  reservationId: string,
  parts: {
    readonly byMs?: number;
    readonly add?: AmountsLike;
    readonly idempotencyKey?: string;
  } = {},
): Extend => ({
  op: "extend",
  reservationId,
  byMs: parts.byMs ?? 0,
  add: someAmounts(parts.add ?? []),
  idempotencyKey: parts.idempotencyKey ?? "",
});

/** A caller who may name any tenant and see the platform's figures, as on a unix socket without credentials. */
export const aCall = (
  parts: { readonly tenant?: string; readonly platform?: boolean } = {},
): Call => ({
  caller: { tenant: parts.tenant ?? "", platform: parts.platform ?? true },
  deadline: Infinity,
});
