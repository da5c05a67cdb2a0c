/**
 * What the demo claims, checked against what the sidecar answered and what it says is left.
 *
 *   IC1  no claim holds by its wording: each compares two numbers that come from different places, the answers to
 *        the calls, the balances afterwards, and the traffic as planned.
 */
import {
  type Balance,
  GetBalanceRequest,
  QuotaServiceService,
} from "../../gen/imprest/v1/quota.ts";
import type { QuotaConnection } from "../client.ts";
import { reasonOf } from "./answer.ts";
import type { Replay, Tally } from "./replay.ts";
import { LOOP_RUN, LOOP_TENANT, type ModelCall, type Side, sideOf, TENANTS } from "./traffic.ts";
import type { Unguarded } from "./unguarded.ts";

const RUN_LIMIT = "run-budget";
const TENANT_LIMIT = "tenant-month";
/** The loop rule of the policy lets five equal calls through: the sixth is the first that it can see. */
const SEEN_BY_CALL = 6;

/** One limit after the replay, in usd_micros; nothing is reserved any more. */
export interface Account {
  readonly limitMicros: number;
  readonly chargedMicros: number;
  readonly remainingMicros: number;
}

export interface Balances {
  readonly run: Account;
  readonly tenant: Account;
  readonly provider: Account;
}

export interface Claim {
  readonly claim: string;
  readonly held: boolean;
}

/** `accountLimit`: what the limit of the provider's account is called. */
export async function readBalances(
  quota: QuotaConnection,
  accountLimit: string,
): Promise<Balances> {
  const { message } = await quota.call(
    QuotaServiceService.getBalance,
    GetBalanceRequest.fromPartial({
      subject: { tenant: LOOP_TENANT, dimensions: new Map([["run", LOOP_RUN]]) },
      refresh: true,
    }),
  );
  const account = (limit: string) => readAccount(limit, message.balances);
  return {
    run: account(RUN_LIMIT),
    tenant: account(TENANT_LIMIT),
    provider: account(accountLimit),
  };
}

function readAccount(limit: string, balances: readonly Balance[]): Account {
  const found = balances.find((balance) => balance.limit === limit);
  if (found === undefined) throw new Error(`the balance lacks the limit ${limit}`);
  const limitMicros = Number(found.limitUnits);
  const remainingMicros = Number(found.remainingUnits);
  return { limitMicros, remainingMicros, chargedMicros: limitMicros - remainingMicros };
}

/** For whatever reason: a replica whose store is slow may not know in time that nothing is left. */
const refusedByRunBudget = ({ refusedBy }: Tally): number =>
  [...refusedBy].reduce((sum, [by, n]) => (by.startsWith(`${RUN_LIMIT} `) ? sum + n : sum), 0);

export function checkClaims(
  traffic: readonly ModelCall[],
  replay: Replay,
  { run, tenant, provider }: Balances,
  unguarded: Unguarded,
): readonly Claim[] {
  const { stopped } = replay;
  const { loop, neighbours, others } = replay.tallies;
  const planned = Map.groupBy(traffic, sideOf);
  const countOf = (side: Side) => planned.get(side)?.length ?? 0;
  const usd = formatUsd;
  const unguardedMicros = totalMicros(unguarded);
  return [
    {
      claim: `the loop was stopped by ${RUN_LIMIT} at ${usd(run.limitMicros)}, and every call after that refused`,
      held:
        stopped?.denial.limit === RUN_LIMIT &&
        reasonOf(stopped.denial) === "BUDGET_EXHAUSTED" &&
        replay.admittedAfterStop === 0 &&
        loop.admitted === stopped.call - 1 &&
        refusedByRunBudget(loop) === countOf("loop") - loop.admitted,
    },
    {
      claim: `its run was charged ${usd(run.chargedMicros)}, no more than its budget and what its answers add up to`,
      held: run.chargedMicros === loop.spentMicros && run.chargedMicros <= run.limitMicros,
    },
    {
      claim: `the loop rule, on trial, had seen it by call ${SEEN_BY_CALL}`,
      held: replay.seenAtCall !== undefined && replay.seenAtCall <= SEEN_BY_CALL,
    },
    {
      claim: `${LOOP_TENANT} stayed within its month of ${usd(tenant.limitMicros)}, and its other runs went on`,
      held:
        tenant.chargedMicros === loop.spentMicros + neighbours.spentMicros &&
        tenant.chargedMicros <= tenant.limitMicros &&
        neighbours.admitted === countOf("neighbours"),
    },
    {
      claim: `the other ${TENANTS - 1} tenants had no denial in ${formatCount(others.admitted)} calls`,
      held:
        others.refused === 0 &&
        others.admitted === countOf("others") &&
        others.spentMicros === unguarded.othersMicros,
    },
    {
      claim: `the provider's account was charged ${usd(provider.chargedMicros)}, what all answers add up to`,
      held:
        provider.chargedMicros === loop.spentMicros + neighbours.spentMicros + others.spentMicros &&
        provider.chargedMicros <= provider.limitMicros,
    },
    {
      claim: `the same traffic costs ${usd(unguardedMicros)} with nobody in its way, more than the account holds`,
      held: unguardedMicros > provider.limitMicros && unguarded.emptyAtSeconds !== undefined,
    },
  ];
}

export const totalMicros = (unguarded: Unguarded): number =>
  unguarded.loopMicros + unguarded.neighboursMicros + unguarded.othersMicros;

const whole = new Intl.NumberFormat("en-US");

/** "1,234". */
export const formatCount = (count: number): string => whole.format(count);

const dollars = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });

/** "$1,234.56": to the cent, rounded to the nearest. */
export const formatUsd = (micros: number): string => dollars.format(micros / 1e6);
