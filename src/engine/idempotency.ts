/** Idempotency keys: per tenant and RPC, the first answer that held, charged or settled something (S28). */
import type { Operation } from "../core/operation.ts";
import { isRejection, reject } from "../core/rejection.ts";
import type { Answer } from "../core/verdict.ts";
import type { Done } from "../ports/quota.ts";
import { contentOf, differingField } from "./content.ts";
import type { Core } from "./core.ts";
import type { Turn } from "./turn.ts";
import { tenantOf } from "./prepare.ts";

export interface Keys {
  readonly core: Core;
  readonly turn: Turn;
  readonly op: Operation;
}

/** Answers from memory where the key is known; decides afresh where it is not, and remembers. */
export function freshOr(
  { core, turn, op }: Keys,
  done: Done<Answer>,
  decide: (finish: Done<Answer>) => void,
): void {
  const key = keyOf(core, turn, op);
  if (key === undefined) return decide(done);
  const known = core.reservations.keyed(key);
  if (known) {
    const field = differingField(op, known.content);
    return done(
      field === undefined
        ? (known.answer as Answer)
        : reject("IDEMPOTENCY_CONFLICT", `idempotency_key was used with another ${field}`, field),
    );
  }
  decide((answer) => {
    if (!isRejection(answer) && tookEffect(answer)) {
      const id = answer.op === "reserve" ? answer.reservationId : reservationOf(op);
      const reservation = core.reservations.get(id);
      const live = reservation?.state === "open" ? reservation : undefined;
      core.reservations.remember(key, { content: contentOf(op), answer }, live, turn.now.mono);
    }
    done(answer);
  });
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
