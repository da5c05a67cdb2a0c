/**
 * What agents do: they ask the sidecar next to them, use what they were allowed, settle it or forget to, repeat
 * themselves, and go on when a sidecar is back. All that they hear goes to {@link Truth}.
 */
import type { Amount, Operation, Reserve } from "../../src/core/operation.ts";
import { isRejection, type Rejection } from "../../src/core/rejection.ts";
import type { Answer, Denial, Verdict } from "../../src/core/verdict.ts";
import { GRACE } from "../../src/engine/reservations.ts";
import type { Call } from "../../src/ports/quota.ts";
import { aCheck, aCommit, aConsume, anExtend, aRelease, aReserve } from "../support/builders.ts";
import type { Agenda } from "./agenda.ts";
import type { Chance } from "./chance.ts";
import { drawAmounts, mostOf } from "./mix.ts";
import { LIMITS, TENANTS, type LimitName } from "./scheme.ts";
import { LOADED_MS, type Setting } from "./setting.ts";
import { START } from "./host.ts";
import { addedBy, endingOf, ROUNDING_MS, type Known, type Owner } from "./known.ts";
import type { Truth } from "./truth.ts";

/** There is nobody, or the process ended before it answered. */
export type Gone = "nobody" | "cut off";

/** A sidecar as its agents see it. */
export interface Member {
  readonly name: string;
  owner: Owner;
  wall(): number;
  submit(call: Call, operation: Operation, done: (answer: Answer | Rejection | Gone) => void): void;
  /** Whether its journal has this reservation, and not its end. */
  keeps(id: string): boolean;
  /** Of what was charged in one go: what nobody covered, by meter. */
  overageOf(charged: readonly Amount[]): ReadonlyMap<string, number>;
  /** Requests that wait for a process that does not run. */
  waiting(): number;
  isUp(): boolean;
  /** Until when it may hold what nobody was told of: it ended before it answered. */
  unsureUntil: number;
}

export interface Counts {
  decisions: number;
  admitted: number;
  denied: Map<string, number>;
  commits: number;
  late: number;
  overage: number;
  repeated: number;
  lost: number;
}

export interface LoadOptions {
  readonly agenda: Agenda;
  readonly chance: Chance;
  readonly setting: Setting;
  readonly truth: Truth;
  readonly fail: (what: string) => void;
}

const RETRY_MS = 30;
const RETRIES_MAX = 60;
export const UNSURE_MS = 2_500; // longer than any reservation lives, extensions included
const PATIENCE_MS = 250;

const WORTH_IT = 2_000;
/** Of a caller who waits for as long as may be asked of him. */
const PATIENT_MS = 400;

export interface Ask {
  readonly tenant: string;
  readonly amounts: Readonly<Partial<Record<LimitName, number>>>;
  readonly ttlMs: number;
  /** How long the caller waits, ms. */
  readonly waitMs: number;
  readonly key: string;
  /** How long what was allowed is used, ms; undefined: as agents do. */
  readonly useMs?: number;
}

export interface LoadPart {
  readonly counts: Counts;
  /** Begins to ask the member for something now and then. */
  begin(member: Member): void;
  ask(member: Member, ask: Ask): void;
  /** Nobody asks for anything new. */
  end(): void;
}

export function createLoad({ agenda, chance, setting, truth, fail }: LoadOptions): LoadPart {
  const counts: Counts = {
    decisions: 0,
    admitted: 0,
    denied: new Map(),
    commits: 0,
    late: 0,
    overage: 0,
    repeated: 0,
    lost: 0,
  };
  let keys = 0;
  let isOver = false;

  const call = (member: Member, waitMs: number): Call => ({
    caller: { tenant: "", platform: true },
    deadline: member.wall() + waitMs,
  });

  /** Again and again, as long as nobody is there. */
  function insist(
    member: Member,
    known: Known,
    operation: Operation,
    done: (answer: Answer | Rejection) => void,
  ): void {
    let tries = 0;
    const attempt = (): void =>
      member.submit(call(member, PATIENCE_MS), operation, (answer) => {
        if (!isGone(answer)) return done(answer);
        if (answer === "cut off") {
          if (!member.keeps(known.id)) truth.cutOff(known, operation);
          else if (operation.op === "commit" && operation.partial) unsure(member); // it may be renewed
        }
        if (tries++ < RETRIES_MAX) agenda.at(RETRY_MS, `retry ${member.name}`, attempt);
      });
    attempt();
  }

  const unsure = (member: Member): void => {
    member.unsureUntil = Math.max(member.unsureUntil, agenda.now() + UNSURE_MS);
  };

  function denied(tenant: string, { denial, limits }: Verdict): void {
    if (!denial) return;
    agenda.show(
      () =>
        `refused: ${denial.reason} ${denial.limit} ${denial.requestedUnits} of ${denial.remainingUnits}`,
    );
    counts.denied.set(denial.reason, (counts.denied.get(denial.reason) ?? 0) + 1);
    if (setting.environment === "calm" && limits.length === 1) mustBeExhausted(tenant, denial);
  }

  /**
   * L2 (S17): nobody is refused what has lain idle for R; of the last thousandth it may. Looked at where one limit
   * alone decides, and is worth more than a few dozen operations.
   */
  function mustBeExhausted(tenant: string, denial: Denial): void {
    const account = truth.find(tenant, denial);
    if (!account?.idle || account.capacity < WORTH_IT) return;
    if (agenda.now() < setting.terms.learnMs) return;
    const left = (denial.resetsAt ?? Infinity) - START - agenda.now();
    const age = setting.periodMs - left;
    if (age >= -ROUNDING_MS && age < PATIENCE_MS + ROUNDING_MS) return; // what is idle was another period's, or nobody's
    const { name, capacity } = account;
    const least = account.idle.least(PATIENCE_MS, agenda.now());
    if (least < denial.requestedUnits || least <= capacity / 1_000) return;
    fail(`L2 ${name}: ${denial.requestedUnits} refused, ${least} idle of ${capacity}`);
  }

  function ask(member: Member, asked: Ask): void {
    counts.decisions++;
    const { tenant, ttlMs } = asked;
    const tags = LIMITS.filter((name) => asked.amounts[name] !== undefined);
    const amounts = tags
      .filter((name) => name !== "slots")
      .map((meter) => ({ meter, units: asked.amounts[meter] ?? 0 }));
    const subject = {
      tenant,
      workspace: `w${chance.below(2)}`,
      dimensions: new Map([["run", `r${Math.floor(agenda.now() / 3_000)}-${chance.below(3)}`]]),
    };
    const parts = { subject, action: { tags }, amounts, verbose: true };
    const free = asked.useMs === undefined;
    if (free && chance.chance(0.05)) {
      return member.submit(call(member, asked.waitMs), aCheck(parts), () => undefined);
    }
    if (free && chance.chance(0.1)) {
      const alreadySpent = chance.chance(0.2) && !tags.includes("rate");
      const consume = aConsume({ ...parts, alreadySpent });
      return member.submit(call(member, asked.waitMs), consume, (answer) => {
        if (isGone(answer) || isRejection(answer) || answer.op !== "consume") return;
        if (answer.verdict.decision === "deny") return denied(tenant, answer.verdict);
        counts.admitted++;
        const { charged, verdict } = answer;
        const overage = member.overageOf(charged);
        truth.consumed(member.owner, tenant, {
          limits: verdict.limits,
          charged,
          overage,
          alreadySpent,
        });
      });
    }
    const reserve = aReserve({ ...parts, ttlMs, idempotencyKey: asked.key });
    const { owner } = member;
    const again = (): void => {
      // A journal that lost its end may bring back what was over; nobody asks it.
      if (asked.key !== "" && member.owner === owner) repeat(member, reserve, undefined);
    };
    member.submit(call(member, asked.waitMs), reserve, (answer) => {
      if (!isGone(answer)) return allowed(member, reserve, answer, asked.useMs);
      unsure(member);
      agenda.at(RETRY_MS, "ask again", again);
    });
  }

  function allowed(member: Member, op: Reserve, answer: Answer | Rejection, useMs?: number): void {
    if (isRejection(answer)) return unexpected(answer);
    if (answer.op !== "reserve") return;
    const { tenant } = op.subject;
    if (answer.verdict.decision === "deny") return denied(tenant, answer.verdict);
    counts.admitted++;
    agenda.show(
      () =>
        `${member.name} allows ${answer.reservationId} ${answer.reserved.map(({ meter, units }) => `${meter} ${units}`).join(" ")} ${answer.verdict.source}`,
    );
    const known = truth.reserved({
      id: answer.reservationId,
      owner: member.owner,
      tenant,
      ttlMs: op.ttlMs,
      leftMs: (answer.expiresAt ?? 0) - member.wall(),
      limits: answer.verdict.limits,
      reserved: answer.reserved,
    });
    use(member, known, useMs);
    if (op.idempotencyKey !== "" && chance.chance(0.3)) {
      agenda.at(chance.around(100), "repeat", () => repeat(member, op, known));
    }
  }

  /** The same Reserve under the same key: the same reservation (I2). */
  function repeat(member: Member, op: Reserve, known: Known | undefined): void {
    const { owner } = member;
    counts.repeated++;
    member.submit(call(member, PATIENCE_MS), op, (answer) => {
      if (isGone(answer)) return unsure(member);
      if (isRejection(answer) || answer.op !== "reserve") return;
      if (
        known &&
        known.owner === member.owner &&
        owner === member.owner &&
        known.state !== "lost"
      ) {
        if (answer.reservationId === known.id) return;
        if (isAhead(known)) return allowed(member, op, answer);
        return fail(
          `I2 ${member.name}: a repeated Reserve was answered ${answer.reservationId || "deny"}, not ${known.id}`,
        );
      }
      if (!known && member.owner === owner) allowed(member, op, answer);
    });
  }

  function unexpected(rejection: Rejection): void {
    counts.lost++;
    if (!["TOO_MANY_RESERVATIONS", "DRAINING"].includes(rejection.reason))
      fail(`rejected: ${rejection.reason} ${rejection.message}`);
  }

  /** What an agent does with what it was allowed. */
  function use(member: Member, known: Known, useMs: number | undefined): void {
    const isLate = chance.chance(setting.faults.late);
    const takes = useMs ?? (isLate ? 700 + chance.around(300) : chance.around(150));
    const end = (): void => {
      if (useMs === undefined && chance.chance(0.1)) return release(member, known);
      if (useMs === undefined && chance.chance(0.05)) return; // it forgets
      settle(member, known, false, useMs === undefined ? undefined : {}); // all of it
    };
    if (useMs === undefined && chance.chance(0.1)) {
      agenda.at(takes / 3, "extend", () => extend(member, known));
    }
    if (useMs === undefined && chance.chance(0.15)) {
      agenda.at(takes / 2, "partial", () => settle(member, known, true));
    }
    agenda.at(takes, "settle", end);
  }

  function actualOf(known: Known): Readonly<Record<string, number>> {
    const over = chance.chance(setting.faults.overage);
    const amounts: Record<string, number> = {};
    for (const { meter, held, charged } of known.parts) {
      if (meter === "") continue;
      const most = over && meter !== "rate" ? 3 * (held + charged) : held;
      amounts[meter] = charged + chance.below(most + 1);
    }
    return amounts;
  }

  function settle(member: Member, known: Known, partial: boolean, amounts = actualOf(known)): void {
    if (known.state === "settled") return;
    const op = aCommit(known.id, { amounts, partial });
    insist(member, known, op, (answer) => {
      if (isRejection(answer)) {
        if (answer.reason === "OVERAGE_REJECTED") {
          truth.tick();
          if (known.state === "expired") return void counts.lost++; // late, and nothing was left (S19, S23)
          const held = known.parts.filter(({ meter }) => meter !== "");
          const isLess = held.some((part) => (amounts[part.meter] ?? 0) > part.charged + part.held);
          if (!isLess) return notThere(member, known, answer); // what was lost may be held no more
          const stated = held.map((part) => [part.meter, part.charged + part.held] as const);
          return settle(member, known, partial, Object.fromEntries(stated));
        }
        const isOver = known.state === "settled" || (partial && known.isCutOff);
        if (!isOver) notThere(member, known, answer);
        return; // what was settled meanwhile knows of no partial commit
      }
      if (answer.op !== "commit") return;
      const overage = member.overageOf(addedBy(known, answer.charged));
      if (known.state === "settled") return;
      counts.commits++;
      if (answer.late) counts.late++;
      for (const units of overage.values()) counts.overage += units;
      const ending = endingOf(answer);
      const { charged, late } = answer;
      truth.committed(known, { partial, late, charged, overage, ending });
      if (!partial && chance.chance(0.2)) again(member, known, op);
    });
  }

  /** The same Commit again: the same answer, and nothing is charged (I2, S20). */
  function again(member: Member, known: Known, op: Operation): void {
    agenda.at(chance.around(50), "commit again", () => {
      const { owner } = known;
      member.submit(call(member, PATIENCE_MS), op, (answer) => {
        if (isGone(answer) || member.owner !== owner) return;
        if (isRejection(answer)) return notThere(member, known, answer);
        if (answer.op !== "commit") return;
        if (endingOf(answer) !== known.ending) {
          fail(
            `I2 ${known.id}: a repeated Commit was answered ${endingOf(answer)}, not ${known.ending}`,
          );
        }
      });
    });
  }

  /** A settled or lost reservation may be unknown; one that its owner's journal keeps may not. */
  function notThere(member: Member, known: Known, { reason, message }: Rejection): void {
    if (known.owner !== member.owner || known.state === "lost") return void counts.lost++;
    const isOver = known.state === "settled" || known.isCutOff;
    if (isAhead(known) && (reason === "RESERVATION_EXPIRED" || isOver)) return;
    fail(`S26 ${member.name}: ${known.id} (${known.state}): ${reason} ${message}`);
  }

  function release(member: Member, known: Known): void {
    insist(member, known, aRelease(known.id), (answer) => {
      if (isRejection(answer)) return notThere(member, known, answer);
      if (answer.op === "release") truth.released(known);
    });
  }

  function extend(member: Member, known: Known): void {
    if (known.state !== "open") return;
    const byMs = chance.below(300);
    const meters = known.parts.filter(({ meter }) => meter !== "");
    const add = meters.map(({ meter }) => ({
      meter,
      units: chance.below(mostOf(meter)),
    }));
    const op = anExtend(known.id, { byMs, add: chance.chance(0.5) ? add : [] });
    member.submit(call(member, PATIENCE_MS), op, (answer) => {
      if (isGone(answer)) return unsure(member);
      if (isRejection(answer) || answer.op !== "extend") return;
      if (answer.verdict.decision !== "deny")
        truth.extended(known, byMs, op.op === "extend" ? op.add : []);
    });
  }

  function something(member: Member): void {
    const amounts = drawAmounts(chance, setting.load);
    ask(member, {
      tenant: chance.pick(TENANTS.slice(0, chance.chance(0.8) ? 1 : 2)),
      amounts,
      ttlMs: 250 + chance.below(500),
      waitMs: setting.environment === "calm" ? PATIENT_MS : 20 + chance.below(250),
      key: chance.chance(0.3) ? `k${keys++}` : "",
    });
  }

  return {
    counts,
    ask,
    begin(member) {
      const next = (): void => {
        if (isOver || agenda.now() > LOADED_MS) return;
        if (member.isUp() && member.waiting() < 6) something(member);
        agenda.at(chance.around(setting.gapMs), `load ${member.name}`, next);
      };
      agenda.at(chance.around(40), `load ${member.name}`, next);
    },
    end() {
      isOver = true;
    },
  };
}

/** A clock that was set ahead by nearly the grace takes everything for long over, what it remembers as well (S29). */
const isAhead = ({ owner, shiftedThen }: Known): boolean =>
  owner.shifted() > shiftedThen + GRACE - 2 * LOADED_MS;

const isGone = (answer: Answer | Rejection | Gone): answer is Gone => typeof answer === "string";
