/** Answers of the engine as the facts of a scenario (facts.ts). Which are loud is said here. */
import type { Amount } from "../../src/core/operation.ts";
import type { Rejection } from "../../src/core/rejection.ts";
import type {
  Answer,
  Balance,
  Caps,
  Denial,
  Explanation,
  LimitStatus,
  Verdict,
} from "../../src/core/verdict.ts";
import { renderDuration } from "./command.ts";
import type { Fact } from "./facts.ts";

type Value = string | number | boolean | undefined;

function fact(
  name: string,
  words: readonly string[],
  fields: Readonly<Record<string, Value>>,
  loud?: readonly string[] | "all",
): Fact {
  const kept = Object.entries(fields).filter(([, value]) => value !== undefined && value !== "");
  const stated = new Map(kept.map(([key, value]) => [key, String(value)]));
  return loud === undefined
    ? { name, words, fields: stated }
    : { name, words, fields: stated, loud };
}

const moment = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : new Date(ms).toISOString().replace(".000Z", "Z");
const span = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : renderDuration(ms);

const amounts = (name: string, list: readonly Amount[], loud: boolean): readonly Fact[] =>
  list.length === 0
    ? []
    : [
        fact(
          name,
          [],
          Object.fromEntries(list.map((a) => [a.meter, a.units])),
          loud ? "all" : undefined,
        ),
      ];

const denialFields = (denial: Denial): Readonly<Record<string, Value>> => ({
  limit: denial.limit,
  retry_after: span(denial.retryAfterMs),
  scope: denial.scope,
  meter: denial.meter,
  limit_units: denial.limitUnits,
  remaining: denial.remainingUnits,
  requested: denial.requestedUnits,
  resets_at: moment(denial.resetsAt),
  message: denial.message,
  help_url: denial.helpUrl,
});

const capsFact = (caps: Caps): Fact =>
  fact(
    "caps",
    [],
    {
      max_output_tokens: caps.maxOutputTokens === 0 ? undefined : caps.maxOutputTokens,
      fallback_model: caps.fallbackModel,
      tool_allowlist: caps.toolAllowlist.join("|"),
      tool_denylist: caps.toolDenylist.join("|"),
      max_steps_remaining: caps.maxStepsRemaining === 0 ? undefined : caps.maxStepsRemaining,
      cooldown: span(caps.cooldownMs),
      notice: caps.notice,
      limit: caps.limit,
    },
    "all",
  );

function statusFacts(status: LimitStatus): readonly Fact[] {
  const line = fact("status", [status.limit], {
    scope: status.scope,
    meter: status.meter,
    limit_units: status.limitUnits,
    remaining: status.remainingUnits,
    resets_at: moment(status.resetsAt),
    shadow: status.shadow ? true : undefined,
  });
  const denial = status.wouldDeny;
  if (denial === undefined) return [line];
  const { limit: _limit, ...fields } = denialFields(denial);
  return [line, fact("would_deny", [status.limit, denial.reason], fields, [])];
}

export function verdictFacts(verdict: Verdict): readonly Fact[] {
  const { denial, caps } = verdict;
  const head =
    denial === undefined
      ? fact(verdict.decision, [], {}, [])
      : fact(verdict.decision, [denial.reason], denialFields(denial), ["limit", "retry_after"]);
  return [
    head,
    ...(caps === undefined ? [] : [capsFact(caps)]),
    ...verdict.limits.flatMap(statusFacts),
    fact("source", [verdict.source], { degraded: verdict.degraded ? true : undefined }),
    fact("decision", [verdict.decisionId === "" ? "unnamed" : "named"], {}),
  ];
}

/** The verdict of a commit is news, not its result: it is stated where a scenario is about it. */
const nowFacts = (verdict: Verdict): readonly Fact[] => [
  fact(
    "now",
    [verdict.decision, ...(verdict.denial === undefined ? [] : [verdict.denial.reason])],
    {
      limit: verdict.denial?.limit ?? verdict.caps?.limit,
      retry_after: span(verdict.denial?.retryAfterMs),
      notice: verdict.caps?.notice,
    },
  ),
];

export const rejectionFacts = (rejection: Rejection): readonly Fact[] => [
  fact(
    "rejected",
    [rejection.reason],
    { field: rejection.field, retry_after: span(rejection.retryAfterMs) },
    [],
  ),
];

/** `nameOf`: what the scenario calls a reservation; "" for one that it has not met. */
export function answerFacts(answer: Answer, nameOf: (id: string) => string): readonly Fact[] {
  switch (answer.op) {
    case "check":
      return verdictFacts(answer.verdict);
    case "reserve":
      return [
        ...verdictFacts(answer.verdict),
        ...(nameOf(answer.reservationId) === ""
          ? []
          : [fact("again", [nameOf(answer.reservationId)], {}, [])]),
        ...(answer.reservationId === "" ? [fact("nothing_held", [], {})] : []),
        ...amounts("reserved", answer.reserved, false),
        fact("expires", [], { at: moment(answer.expiresAt) }),
      ];
    case "commit":
      return [
        ...(answer.charged.length === 0 ? [fact("nothing_charged", [], {}, [])] : []),
        ...amounts("charged", answer.charged, true),
        ...amounts("released", answer.released, true),
        ...amounts("overage", answer.overage, true),
        ...amounts("uncharged", answer.uncharged, true),
        ...(answer.late ? [fact("late", [], {}, [])] : []),
        ...nowFacts(answer.verdict),
      ];
    case "release":
      return answer.released.length === 0
        ? [fact("nothing_released", [], {}, [])]
        : amounts("released", answer.released, true);
    case "extend":
      return [
        ...verdictFacts(answer.verdict),
        fact("expires", [], { at: moment(answer.expiresAt) }),
      ];
    case "consume":
      return [...verdictFacts(answer.verdict), ...amounts("charged", answer.charged, false)];
  }
}

export const balanceFacts = (balance: Balance | undefined): readonly Fact[] =>
  balance === undefined
    ? [fact("absent", [], {}, [])]
    : [
        fact(
          "",
          [],
          {
            remaining: balance.remainingUnits,
            debt: balance.debtUnits === 0 ? undefined : balance.debtUnits,
            limit: balance.limitUnits,
            spent: balance.spentUnits,
            leased: balance.leasedUnits,
            local_available: balance.localAvailableUnits,
            local_reserved: balance.localReservedUnits,
            scope: balance.scope,
            meter: balance.meter,
            resets_at: moment(balance.resetsAt),
          },
          ["remaining", "debt"],
        ),
      ];

export const explanationFacts = (explanation: Explanation): readonly Fact[] => [
  ...verdictFacts(explanation.verdict),
  fact("plan", [explanation.plan === "" ? "none" : explanation.plan], {}),
  ...amounts("derived", explanation.derived, false),
];
