/**
 * A tenant's own words laid over its plan's.
 *
 *   OV1  Key by key: what the tenant names takes the place of the plan's, mappings are laid over each other in
 *        the same way, null removes a key, and what the tenant does not name stays.
 *   OV2  `on_store_loss` is one choice, not a bag of keys, and is replaced as a whole; so are lists.
 *   OV3  A rule keeps its place in the plan's order; new ones follow in the tenant's.
 */
import type { Mode, Rules } from "./document.ts";
import { isMap, type Node } from "./node.ts";

const REPLACED_WHOLE = new Set(["on_store_loss"]);

/** `above` laid over `below`. Neither is changed. */
export function layNode(below: Node | undefined, above: Node): Node {
  if (!isMap(above)) return above;
  const laid = new Map(isMap(below) ? below : []);
  for (const [key, value] of above) {
    if (value === null) laid.delete(key);
    else laid.set(key, layNode(REPLACED_WHOLE.has(key) ? undefined : laid.get(key), value));
  }
  return laid;
}

/** What a tenant itself says, in the document's terms; its rules are complete, each laid over its plan's. */
export interface OwnRules extends Partial<Pick<Rules, "allow" | "deny" | "onDeny">> {
  readonly mode?: Mode;
  readonly limits: Rules["limits"];
  readonly breakers: Rules["breakers"];
  readonly loops: Rules["loops"];
}

const NO_RULES: Rules = { mode: "enforce", limits: [], breakers: [], loops: [] };

/** Rules of a tenant. The plan's own object where the tenant adds nothing, so that its compiled form is shared. */
export function layRules(plan: Rules = NO_RULES, own: OwnRules): Rules {
  const { limits, breakers, loops, ...replaced } = own;
  const adds = limits.length + breakers.length + loops.length + Object.keys(replaced).length;
  if (adds === 0) return plan;
  return {
    ...plan,
    ...replaced,
    limits: layByName(plan.limits, limits),
    breakers: layByName(plan.breakers, breakers),
    loops: layByName(plan.loops, loops),
  };
}

function layByName<T extends { readonly name: string }>(
  below: readonly T[],
  above: readonly T[],
): readonly T[] {
  if (above.length === 0) return below;
  const laid = new Map(below.map((rule) => [rule.name, rule]));
  for (const rule of above) laid.set(rule.name, rule);
  return [...laid.values()];
}
