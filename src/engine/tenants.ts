/** Tenants as the engine knows them: their compiled policy of this generation, and their books. */
import type { CompiledPolicy, CompiledTenant } from "../core/policy/compile.ts";
import type { Books } from "./books.ts";

export interface Tenant {
  readonly policy: CompiledTenant;
  readonly books: Books;
  /** Time zone of the platform's limits. */
  readonly platformZone: string;
  readonly generation: number;
  readonly revision: number;
}

/** Names that are kept compiled; a caller who invents tenants of a default plan must not grow memory. */
const KEPT = 20_000;

export interface Tenants {
  /** `undefined`: the policy does not know it, and has no default plan. */
  get(name: string): Tenant | undefined;
}

export function createTenants(policy: CompiledPolicy, books: (uid: string) => Books): Tenants {
  const kept = new Map<string, Tenant>();
  return {
    get(name) {
      const known = kept.get(name);
      if (known) return known;
      const compiled = policy.tenant(name);
      if (!compiled) return undefined;
      const tenant: Tenant = {
        policy: compiled,
        get books() {
          return books(compiled.uid); // looked up each time: empty books are dropped
        },
        platformZone: policy.zone,
        generation: policy.generation,
        revision: policy.revision,
      };
      if (kept.size >= KEPT) kept.clear();
      kept.set(name, tenant);
      return tenant;
    },
  };
}
