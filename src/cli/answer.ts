/** Answers as people read them: what was decided, why, by which limit, what is left, when to try again. */
import {
  Decision,
  DenyReason,
  type Amount,
  type Caps,
  type CommitResponse,
  type ConsumeResponse,
  type Denial,
  type ExplainResponse,
  type ExtendResponse,
  type LimitStatus,
  type ReserveResponse,
  type Verdict,
} from "../gen/imprest/v1/quota.ts";
import { onOneLine, spellAmounts, spellUnits, table, type Ink } from "./ink.ts";
import { durationMs, spellLength, spellTime } from "./wire-time.ts";

/** A fact about an answer: its name, what it is. */
type Fact = readonly [string, string];

/** Facts under each other, their values in one column. */
function list(facts: readonly Fact[], ink: Ink): string {
  const width = Math.max(0, ...facts.map(([name]) => name.length));
  return facts
    .map(([name, value]) => `  ${ink("dim", name.padEnd(width))}  ${onOneLine(value)}\n`)
    .join("");
}

const REASON_NAMES = new Map<number, string>(
  Object.entries(DenyReason).map(([name, number]) => [number, name]),
);

const reasonName = (reason: DenyReason): string => REASON_NAMES.get(reason) ?? `REASON_${reason}`;

/** True for the two decisions on which a caller may proceed; an unknown one is a refusal. */
export const isAllowed = (verdict: Verdict | undefined): boolean =>
  verdict?.decision === Decision.ALLOW || verdict?.decision === Decision.ALLOW_WITH_CAPS;

function headline(verdict: Verdict | undefined, ink: Ink): string {
  switch (verdict?.decision) {
    case Decision.ALLOW:
      return ink("green", "ALLOW");
    case Decision.ALLOW_WITH_CAPS:
      return ink("yellow", "ALLOW WITH CAPS");
    case Decision.DENY: {
      const { reason = DenyReason.UNSPECIFIED, message = "" } = verdict.denial ?? {};
      return `${ink("red", "DENY")}  ${reasonName(reason)}${message === "" ? "" : `: ${onOneLine(message)}`}`;
    }
    default:
      return `${ink("red", "REFUSED")}  no decision that this version knows`;
  }
}

function denialFacts(denial: Denial): readonly Fact[] {
  const { limit, scope, meter, limitUnits, remainingUnits, requestedUnits } = denial;
  const facts: Fact[] = [];
  if (limit !== "") facts.push(["limit", scope === "" ? limit : `${limit} of ${scope}`]);
  // A limit of the platform shows no figures to a tenant.
  if (limitUnits !== 0n || requestedUnits !== 0n) {
    const [left, most, asked] = [remainingUnits, limitUnits, requestedUnits].map((units) =>
      spellUnits(meter, units),
    );
    const unit = meter === "" ? " slots" : meter === "usd_micros" ? "" : ` ${meter}`;
    facts.push(["left", `${left} of ${most}${unit}; asked for ${asked}`]);
  }
  const retryMs = durationMs(denial.retryAfter);
  facts.push(["retry", retryMs === undefined ? "will not help" : `in ${spellLength(retryMs)}`]);
  if (denial.resetsAt !== undefined) facts.push(["resets", spellTime(denial.resetsAt)]);
  if (denial.helpUrl !== "") facts.push(["help", denial.helpUrl]);
  return facts;
}

function capFacts(caps: Caps): readonly Fact[] {
  const cooldownMs = durationMs(caps.cooldown);
  const facts: readonly Fact[] = [
    ["asked by", caps.limit],
    ["at most", caps.maxOutputTokens === 0n ? "" : `${caps.maxOutputTokens} output tokens`],
    ["use", caps.fallbackModel],
    ["only tools", caps.toolAllowlist.join(", ")],
    ["no tools", caps.toolDenylist.join(", ")],
    ["steps left", caps.maxStepsRemaining === 0n ? "" : `${caps.maxStepsRemaining}`],
    ["wait", cooldownMs === undefined ? "" : spellLength(cooldownMs)],
    ["notice", caps.notice],
  ];
  return facts.filter(([, value]) => value !== "");
}

function limitsTable(limits: readonly LimitStatus[], ink: Ink): string {
  if (limits.length === 0) return "";
  const rows = limits.map((each) => [
    each.limit,
    each.scope,
    each.meter,
    spellUnits(each.meter, each.remainingUnits),
    spellUnits(each.meter, each.limitUnits),
    each.resetsAt === undefined ? "" : spellTime(each.resetsAt),
    each.wouldDeny === undefined
      ? each.shadow
        ? "shadow"
        : ""
      : `shadow: would deny, ${reasonName(each.wouldDeny.reason)}`,
  ]);
  const columns = [
    { title: "LIMIT" },
    { title: "SCOPE" },
    { title: "METER" },
    { title: "LEFT", right: true },
    { title: "OF", right: true },
    { title: "RESETS" },
    { title: "" },
  ];
  return `\n${table(columns, rows, ink)}`;
}

/** A decision, then what else the answer says. */
export function showVerdict(verdict: Verdict | undefined, more: readonly Fact[], ink: Ink): string {
  const facts: Fact[] = [
    ...(verdict?.denial === undefined ? [] : denialFacts(verdict.denial)),
    ...(verdict?.caps === undefined ? [] : capFacts(verdict.caps)),
    ...more,
  ];
  if (verdict?.degraded === true) facts.push(["degraded", "answered without the store"]);
  if (!isAllowed(verdict) && (verdict?.decisionId ?? "") !== "") {
    facts.push(["decision", verdict?.decisionId ?? ""]);
  }
  const limits = limitsTable(verdict?.limits ?? [], ink);
  return `${headline(verdict, ink)}\n${list(facts, ink)}${limits}`;
}

const amountFacts = (named: readonly (readonly [string, readonly Amount[]])[]): readonly Fact[] =>
  named.filter(([, each]) => each.length > 0).map(([name, each]) => [name, spellAmounts(each)]);

export function showReserve(answer: ReserveResponse, ink: Ink): string {
  const { reservationId, expiresAt, reserved, verdict } = answer;
  const facts: Fact[] = [...amountFacts([["reserved", reserved]])];
  if (reservationId !== "") facts.unshift(["reservation", reservationId]);
  if (expiresAt !== undefined) facts.push(["expires", spellTime(expiresAt)]);
  return showVerdict(verdict, facts, ink);
}

export function showConsume({ verdict, charged }: ConsumeResponse, ink: Ink): string {
  return showVerdict(verdict, amountFacts([["charged", charged]]), ink);
}

export function showExtend({ verdict, expiresAt }: ExtendResponse, ink: Ink): string {
  return showVerdict(
    verdict,
    expiresAt === undefined ? [] : [["expires", spellTime(expiresAt)]],
    ink,
  );
}

export function showExplain(answer: ExplainResponse, ink: Ink): string {
  const { verdict, plan, policyVersion, derived } = answer;
  const facts: readonly Fact[] = [
    ["plan", plan === "" ? "none" : plan],
    ["policy", policyVersion],
    ["counts", spellAmounts(derived)],
  ];
  return showVerdict(verdict, facts, ink);
}

/** The units are charged whatever the verdict says: it is about the next call. */
export function showCommit(answer: CommitResponse, ink: Ink): string {
  const { charged, released, overage, uncharged, late, verdict } = answer;
  const facts: Fact[] = [
    ["charged", spellAmounts(charged)],
    ...amountFacts([
      ["released", released],
      ["overage", overage],
      ["uncharged", uncharged],
    ]),
  ];
  if (late) facts.push(["late", "it had expired; charged all the same"]);
  const settled = `${ink("green", "COMMITTED")}\n${list(facts, ink)}`;
  if (
    verdict === undefined ||
    (verdict.decision === Decision.ALLOW && verdict.limits.length === 0)
  ) {
    return settled;
  }
  return `${settled}Next: ${showVerdict(verdict, [], ink)}`;
}

export const showReleased = (released: readonly Amount[], ink: Ink): string =>
  `${ink("green", "RELEASED")}\n${list([["released", spellAmounts(released)]], ink)}`;
