/** Idempotency keys: per tenant and RPC, the first answer that held, charged or settled something (S28). */
import type { Operation } from "../core/operation.ts";
import { isRejection, reject } from "../core/rejection.ts";
import type { Answer } from "../core/verdict.ts";
import type { Done } from "../ports/quota.ts";
import { contentOf, differingField } from "./content.ts";
import type { Core } from "./core.ts";
import type { Turn, Wait } from "./turn.ts";
import { tenantOf } from "./prepare.ts";

export interface Keys {
  readonly core: Core;
  readonly turn: Turn;
  readonly op: Operation;
}

/**
 * Answers from memory where the key is known; decides afresh where it is not, and remembers. A second call while
 * the first one waits for the store waits for the first.
 */
export function freshOr(
  { core, turn, op }: Keys,
  done: Done<Answer>,
  decide: (turn: Turn, finish: Done<Answer>) => void,
): void {
  const key = keyOf(core, turn, op);
  if (key === undefined) {
    decide(turn, done);
    return release(core, turn.ticket?.leads);
  }
  const followers = core.followers.get(key);
  if (followers && turn.ticket?.leads !== key) return void followers.push(turn.again);
  const known = core.reservations.keyed(key);
  if (known) {
    const field = differingField(op, known.content);
    return done(
      field === undefined
        ? (known.answer as Answer)
        : reject("IDEMPOTENCY_CONFLICT", `idempotency_key was used with another ${field}`, field),
    );
  }
  const leading: Turn = core.funds.isShared
    ? { ...turn, suspend: (wait) => lead(core, turn, { key, wait }) }
    : turn;
  decide(leading, (answer) => {
    if (!isRejection(answer) && tookEffect(answer)) {
      const id = answer.op === "reserve" ? answer.reservationId : reservationOf(op);
      const reservation = core.reservations.get(id);
      const live = reservation?.state === "open" ? reservation : undefined;
      core.reservations.remember(key, { content: contentOf(op), answer }, live, turn.now.mono);
    }
    done(answer);
    release(core, key);
  });
}

/** Those that waited for the first call of a key are decided. */
function release({ followers }: Core, key: string | undefined): void {
  const waiting = key === undefined ? undefined : followers.get(key);
  if (key === undefined || !waiting) return;
  followers.delete(key);
  for (const follow of waiting) follow();
}

/** The first call of a key waits: those that come meanwhile follow it. */
function lead(
  { followers }: Core,
  turn: Turn,
  { key, wait }: { readonly key: string; readonly wait: Wait },
): void {
  if (!followers.has(key)) followers.set(key, []);
  turn.suspend(wait, key);
}

const reservationOf = (op: Operation): string => ("reservationId" in op ? op.reservationId : "");

/** A deny and a dry run are decided afresh. */
function tookEffect(answer: Answer): boolean {
  if (answer.op === "reserve") return answer.reservationId !== "";
  return answer.op === "commit" || answer.op === "release" || answer.verdict.decision !== "deny";
}

/** `undefined`: no key, or nobody's; the operation itself then says what is wrong. */
function keyOf(core: Core, turn: Turn, op: Operation): string | undefined {
  if (op.op === "check" || op.idempotencyKey === "") return undefined;
  if ("subject" in op) {
    const tenant = tenantOf(core, turn.caller, op.subject.tenant);
    return isRejection(tenant) ? undefined : `${tenant.policy.uid}\0${op.op}\0${op.idempotencyKey}`;
  }
  const found = core.reservations.get(op.reservationId);
  if (!found) return undefined;
  const owner = found.tenant;
  if (turn.caller.tenant !== "" && turn.caller.tenant !== owner) return undefined;
  const uid = core.tenants.get(owner)?.policy.uid ?? owner;
  return `${uid}\0${op.op}\0${op.idempotencyKey}`;
}
