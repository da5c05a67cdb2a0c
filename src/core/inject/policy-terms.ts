/** What the policies ask of a pod and its namespace, as expressions of the API server. */
import { celText } from "./cel.ts";
import { ANNOTATION, LABEL, SIDECAR } from "./name.ts";
import type { Json } from "./pod.ts";
import { DEFAULT_PROFILE, type InjectionConfig, type Profile } from "./profile.ts";
import { sidecarContainer, type Template } from "./template.ts";
import { TENANT } from "./tenant.ts";

/** A map's value, or the fallback where the map or its member is not there. */
export const valueOf = (map: string, key: string, fallback: string): string =>
  `(has(${map}) && ${celText(key)} in ${map} ? ${map}[${celText(key)}] : ${fallback})`;

export const LABELS = "object.metadata.labels";
export const ANNOTATIONS = "object.metadata.annotations";
const OF_NAMESPACE = "namespaceObject.metadata.labels";

const EMPTY = celText("");
export const CHOICE = valueOf(LABELS, LABEL.inject, EMPTY);
const ENABLED = `${valueOf(OF_NAMESPACE, LABEL.injection, EMPTY)} == "enabled"`;

/** What the pod names. */
export const PROFILE = valueOf(ANNOTATIONS, ANNOTATION.profile, celText(DEFAULT_PROFILE));
/** Whether every container gets the socket. */
export const IS_ALL = `!(has(${ANNOTATIONS}) && ${celText(ANNOTATION.containers)} in ${ANNOTATIONS})`;

/** (TN1, TN2) The same rule as in core/inject/tenant, by which an empty label says nothing. */
const NAMED_TENANT = valueOf(OF_NAMESPACE, LABEL.tenant, EMPTY);
const OWN_TENANT = `(${NAMED_TENANT} != "" ? ${NAMED_TENANT} : namespaceObject.metadata.name)`;

export const VARIABLES: Json = [
  {
    // No condition of the match: those know nothing of the namespace, and what they cannot work out is refused.
    name: "optedIn",
    expression: `has(${LABELS}) && ${celText(LABEL.inject)} in ${LABELS} ? ${CHOICE} != "false" : ${ENABLED}`,
  },
  { name: "ownTenant", expression: OWN_TENANT },
  // A claim that is not allowed is refused by the validating policy.
  { name: "tenant", expression: valueOf(LABELS, LABEL.tenant, OWN_TENANT) },
  {
    name: "tenants",
    expression: `${valueOf("namespaceObject.metadata.annotations", ANNOTATION.tenants, EMPTY)}.split(",").map(t, t.trim()).filter(t, t.matches(${celText(TENANT.source)}))`,
  },
  {
    name: "selected",
    expression: `${valueOf(ANNOTATIONS, ANNOTATION.containers, EMPTY)}.split(",").map(c, c.trim())`,
  },
  {
    name: "hasSidecar",
    expression: `has(object.spec.initContainers) && object.spec.initContainers.exists(c, c.name == ${celText(SIDECAR)})`,
  },
];

/** The sidecar of a profile, for whatever pod. */
export const anySidecar = (config: InjectionConfig, profile: Profile): Template =>
  sidecarContainer(config, profile, {
    tenant: { cel: "variables.tenant" },
    logLevel: { cel: valueOf(ANNOTATIONS, ANNOTATION.logLevel, celText(profile.logLevel)) },
    memoryLimit: profile.resources.limits["memory"] ?? "",
    mode: "native",
    graceSeconds: 0,
  });
