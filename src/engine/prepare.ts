/** From a request to what it asks for: whose it is (S32), which meters, how many units (S1–S6). */
import { derive, type Derivation, type Stage } from "../core/money/derive.ts";
import type { Amount, Request } from "../core/operation.ts";
import { isRejection, reject, type Rejection } from "../core/rejection.ts";
import type { Caller } from "../ports/quota.ts";
import type { Core } from "./core.ts";
import type { Asked } from "./standing.ts";
import type { Tenant } from "./tenants.ts";

export interface Prepared extends Asked {
  readonly caller: Caller;
  readonly tenant: Tenant;
  readonly request: Request;
  readonly unpriced: Derivation["unpriced"];
  /** The output tokens that were taken; undefined without usage. */
  readonly outputTokens: number | undefined;
}

/** The tenant's name: the caller's own, or what the subject says. */
export function tenantName(caller: Caller, said: string): string | Rejection {
  if (caller.tenant === "") {
    return said === ""
      ? reject(
          "MISSING_TENANT",
          "subject.tenant is empty and no credential names one",
          "subject.tenant",
        )
      : said;
  }
  return said === "" || said === caller.tenant
    ? caller.tenant
    : reject("WRONG_TENANT", `tenant "${said}" is not the caller's tenant`, "subject.tenant");
}

export function tenantOf(core: Core, caller: Caller, said: string): Tenant | Rejection {
  const name = tenantName(caller, said);
  if (typeof name !== "string") return name;
  return (
    core.tenants.get(name) ??
    reject(
      "UNKNOWN_TENANT",
      `tenant "${name}" is not in the policy, which has no default plan`,
      "subject.tenant",
    )
  );
}

/** S3: a typo must not be counted by nobody. `held`: what a reservation holds is known, whatever a reload says. */
export function checkMeters(
  core: Core,
  amounts: readonly Amount[],
  path: string,
  held: (meter: string) => boolean = () => false,
): Rejection | undefined {
  for (const [i, { meter }] of amounts.entries()) {
    if (!core.policy.knowsMeter(meter) && !held(meter)) {
      return reject(
        "UNKNOWN_METER",
        `meter "${meter}" is not built in, and no limit of the policy names it`,
        `${path}[${i}].meter`,
      );
    }
  }
  return undefined;
}

export function prepare(
  core: Core,
  caller: Caller,
  request: Request,
  stage: Stage,
): Prepared | Rejection {
  const tenant = tenantOf(core, caller, request.subject.tenant);
  return isRejection(tenant) ? tenant : prepareFor(core, { caller, tenant }, request, stage);
}

export function prepareFor(
  core: Core,
  who: { readonly caller: Caller; readonly tenant: Tenant },
  request: Request,
  stage: Stage,
): Prepared | Rejection {
  const { caller, tenant } = who;
  const unknown = checkMeters(core, request.amounts, "amounts");
  if (unknown) return unknown;
  const derived = derive(core.policy.tariff, request, stage);
  if (isRejection(derived)) return derived;
  const { name } = tenant.policy;
  const { subject, action } = request;
  const stated = derived.amounts.find(({ meter }) => meter === "requests");
  return {
    caller,
    tenant,
    request,
    subject: subject.tenant === name ? subject : { ...subject, tenant: name },
    action: action.name === "" && request.usage ? { ...action, name: request.usage.model } : action,
    amounts: derived.amounts,
    requests: stated ? stated.units : 1,
    unpriced: derived.unpriced,
    outputTokens: derived.outputTokens,
  };
}

/** What is asked of a reservation that was made before: only `amounts`, and no request of its own. */
export function askedAgain(
  { caller, tenant }: Pick<Prepared, "caller" | "tenant">,
  { subject, action }: Pick<Asked, "subject" | "action">,
  amounts: readonly Amount[],
): Prepared {
  return {
    caller,
    tenant,
    request: { subject, action, amounts, usage: undefined, verbose: false },
    subject,
    action,
    amounts,
    requests: 0,
    unpriced: "",
    outputTokens: undefined,
  };
}
