/**
 * Whom a pod works for. The namespace decides, because who may label it is not who writes the pod:
 *
 *   TN1  The tenant is the namespace's label imprest.dev/tenant; without one, the namespace's name.
 *   TN2  A pod's label imprest.dev/tenant is followed where it names that tenant, or one that the namespace's
 *        annotation imprest.dev/tenants lists. Any other is refused, never replaced by the right one.
 */
import { ANNOTATION, LABEL } from "./name.ts";
import type { Namespace, Pod } from "./pod.ts";

/** S33. A namespace's name or a label's value always is one, the list in an annotation may hold anything. */
export const TENANT = /^[A-Za-z0-9_.@-]{1,128}$/;

export type Tenancy = { readonly tenant: string } | { readonly problem: string };

export function tenancy(pod: Pod, namespace: Namespace): Tenancy {
  const own = namespace.labels?.get(LABEL.tenant) || namespace.name;
  const further = (namespace.annotations?.get(ANNOTATION.tenants) ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => TENANT.test(name));
  const claimed = pod.labels?.get(LABEL.tenant);
  if (claimed === undefined || claimed === own) return { tenant: own };
  if (further.includes(claimed)) return { tenant: claimed };
  const allowed = [own, ...further].join(", ");
  return {
    problem: `label ${LABEL.tenant}: found ${JSON.stringify(claimed)}; allowed in namespace ${namespace.name}: ${allowed}`,
  };
}
