/**
 * A policy document in the form in which it crosses from the thread that parsed it: its head, and each plan
 * and tenant as a JSON text of its own, decoded when it is first asked for. A reload of ten thousand tenants
 * then costs the main thread ten thousand Map entries, in small parts.
 */
import type { PolicyDocument, Rules, TenantRules } from "../../core/policy/document.ts";
import { layRules } from "../../core/policy/overlay.ts";
import type { PolicyHead } from "../../core/policy/validate.ts";
import type { OwnTenant } from "../../core/policy/validate-tenant.ts";

/** Trusted texts, written by {@link encodePolicy}. */
export interface EncodedPolicy {
  readonly version: string;
  readonly head: string;
  readonly plans: ReadonlyMap<string, string>;
  readonly tenants: ReadonlyMap<string, string>;
  /** Uids that are not the name of their tenant. */
  readonly uids: readonly string[];
}

/** A document over `encoded`. Reads nothing but the head before it is asked. */
export function decodePolicy(encoded: EncodedPolicy): PolicyDocument {
  const head = JSON.parse(encoded.head) as PolicyHead;
  const plans = new Map<string, Rules>();
  const tenants = new Map<string, TenantRules>();
  const foreignUids = new Set(encoded.uids);

  function planOf(name: string): Rules | undefined {
    const kept = plans.get(name);
    if (kept !== undefined) return kept;
    const text = encoded.plans.get(name);
    if (text === undefined) return undefined;
    const plan = JSON.parse(text) as Rules;
    plans.set(name, plan);
    return plan;
  }

  function listed(name: string): TenantRules | undefined {
    const kept = tenants.get(name);
    if (kept !== undefined) return kept;
    const text = encoded.tenants.get(name);
    if (text === undefined) return undefined;
    const { own, ...tenant } = JSON.parse(text) as OwnTenant;
    const plan = planOf(tenant.plan);
    const planNames = new Set(plan?.limits.map((limit) => limit.name));
    const ownNames = own.limits.map((limit) => limit.name).filter((limit) => !planNames.has(limit));
    const rules = { ...tenant, rules: layRules(plan, own), ownLimits: new Set(ownNames) };
    tenants.set(name, rules);
    return rules;
  }

  const nothingOwn: ReadonlySet<string> = new Set();
  return {
    ...head,
    version: encoded.version,
    revision: head.revision,
    meters: new Set(head.meters),
    tenant: listed,
    defaultTenant(name) {
      // A name that is somebody's uid would spend that tenant's account.
      const rules = foreignUids.has(name) ? undefined : planOf(head.defaultPlan);
      if (rules === undefined) return undefined;
      const { defaultPlan: plan, timezone } = head;
      return {
        uid: name,
        plan,
        timezone,
        suspended: false,
        deleted: false,
        rules,
        ownLimits: nothingOwn,
      };
    },
  };
}
