/**
 * The webhook's patch as a MutatingAdmissionPolicy, for clusters that have it (Kubernetes 1.36): no server, no
 * certificate, nothing that can be down. A second, validating policy refuses what the webhook would refuse.
 *
 *   PM1  A pod that the policy takes is the pod that the webhook makes of it, byte for byte.
 *   PM2  What the policy cannot do it refuses: annotations imprest.dev/mode, memory-limit, allow-job, a profile
 *        that was not rendered. It has no Events and no warnings.
 *
 * One pair of policies is for one profile. Everything that differs from pod to pod is worked out by the API server:
 * the tenant (from the namespace, by the same rule), the log level, which containers get the socket.
 */
import { assert } from "../assert.ts";
import { celOf, celText, celTexts } from "./cel.ts";
import { ANNOTATION, LABEL, OURS, SIDECAR, SOCKET_VARIABLE, VOLUME } from "./name.ts";
import type { Json } from "./pod.ts";
import { DEFAULT_PROFILE, LOG_LEVELS, type InjectionConfig, type Profile } from "./profile.ts";
import {
  APP_MOUNT,
  APP_VARIABLE,
  sidecarContainer,
  sidecarVolumes,
  type Expression,
} from "./template.ts";

export interface PolicyOptions {
  /** Of the profile that is rendered. */
  readonly profileName: string;
  readonly profile: Profile;
  readonly config: InjectionConfig;
  /** Namespaces that are left alone whatever their labels say. */
  readonly excluded: readonly string[];
}

const GROUP = "admissionregistration.k8s.io/v1";

/** Objects to apply, in this order: a binding makes a policy hold. */
export function policiesOf(options: PolicyOptions): readonly Json[] {
  assert(options.profile.mode === "native", "PM2");
  const name = `imprest-sidecar-${options.profileName}`;
  const mutating = `${name}.inject.imprest.dev`;
  const validating = `${name}.check.imprest.dev`;
  return [
    {
      apiVersion: GROUP,
      kind: "ValidatingAdmissionPolicy",
      metadata: { name: validating },
      spec: {
        failurePolicy: "Fail",
        matchConstraints: constraints(options, ["CREATE"]),
        matchConditions: conditions(options, "false"),
        variables: VARIABLES,
        validations: validations(options),
      },
    },
    binding("ValidatingAdmissionPolicyBinding", validating, { validationActions: ["Deny"] }),
    {
      apiVersion: GROUP,
      kind: "MutatingAdmissionPolicy",
      metadata: { name: mutating },
      spec: {
        failurePolicy: "Fail",
        reinvocationPolicy: "IfNeeded",
        matchConstraints: constraints(options, ["CREATE"]),
        matchConditions: conditions(options, "true"),
        variables: VARIABLES,
        mutations: mutations(options).map((expression) => ({
          patchType: "JSONPatch",
          jsonPatch: { expression: `!variables.optedIn ? [] : (${expression})` },
        })),
      },
    },
    binding("MutatingAdmissionPolicyBinding", mutating, {}),
  ];
}

const binding = (
  kind: string,
  policyName: string,
  more: { readonly [key: string]: Json },
): Json => ({
  apiVersion: GROUP,
  kind,
  metadata: { name: policyName },
  spec: { policyName, ...more },
});

const constraints = ({ excluded }: PolicyOptions, operations: readonly string[]): Json => ({
  namespaceSelector: {
    matchExpressions: [{ key: "kubernetes.io/metadata.name", operator: "NotIn", values: excluded }],
  },
  resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], operations, resources: ["pods"] }],
});

/** A map's value, or the fallback where the map or its member is not there. */
const valueOf = (map: string, key: string, fallback: string): string =>
  `(has(${map}) && ${celText(key)} in ${map} ? ${map}[${celText(key)}] : ${fallback})`;
const LABELS = "object.metadata.labels";
const ANNOTATIONS = "object.metadata.annotations";
const OF_NAMESPACE = "namespaceObject.metadata.labels";

const EMPTY = celText("");
const CHOICE = valueOf(LABELS, LABEL.inject, EMPTY);
const ENABLED = `${valueOf(OF_NAMESPACE, LABEL.injection, EMPTY)} == "enabled"`;

/** Nothing that is skipped, as in core/inject/ruling. `isMutating` picks the profile's pods alone. */
function conditions({ profileName }: PolicyOptions, isMutating: "true" | "false"): Json {
  const profile = valueOf(ANNOTATIONS, ANNOTATION.profile, celText(DEFAULT_PROFILE));
  return [
    {
      name: "not-skipped",
      expression: [
        `!(has(${ANNOTATIONS}) && "kubernetes.io/config.mirror" in ${ANNOTATIONS})`,
        "!(has(object.spec.hostNetwork) && object.spec.hostNetwork)",
        '!(has(object.spec.os) && object.spec.os.name == "windows")',
        '!(has(object.spec.nodeSelector) && "kubernetes.io/os" in object.spec.nodeSelector && object.spec.nodeSelector["kubernetes.io/os"] == "windows")',
      ].join(" && "),
    },
    // A profile that no policy was rendered for is refused by the one for the default.
    ...(isMutating === "true" || profileName !== DEFAULT_PROFILE
      ? [{ name: "profile", expression: `${profile} == ${celText(profileName)}` }]
      : []),
  ];
}

/** (TN1, TN2) The same rule as in core/inject/tenant; a claim that is not allowed is refused by the other policy. */
const OWN_TENANT = valueOf(OF_NAMESPACE, LABEL.tenant, "namespaceObject.metadata.name");
const VARIABLES: Json = [
  {
    // No condition of the match: those know nothing of the namespace, and what they cannot work out is refused.
    name: "optedIn",
    expression: `has(${LABELS}) && ${celText(LABEL.inject)} in ${LABELS} ? ${CHOICE} != "false" : ${ENABLED}`,
  },
  { name: "tenant", expression: valueOf(LABELS, LABEL.tenant, OWN_TENANT) },
  { name: "ownTenant", expression: OWN_TENANT },
  {
    name: "tenants",
    expression: `${valueOf("namespaceObject.metadata.annotations", ANNOTATION.tenants, EMPTY)}.split(",").map(t, t.trim())`,
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
const IS_ALL = `!(has(${ANNOTATIONS}) && ${celText(ANNOTATION.containers)} in ${ANNOTATIONS})`;

function mutations(options: PolicyOptions): readonly string[] {
  const { profile, profileName, config } = options;
  const logLevel: Expression = {
    cel: valueOf(ANNOTATIONS, ANNOTATION.logLevel, celText(profile.logLevel)),
  };
  const container = sidecarContainer(config, profile, {
    tenant: { cel: "variables.tenant" },
    logLevel,
    memoryLimit: profile.resources.limits["memory"] ?? "",
    mode: "native",
    graceSeconds: 0,
  });
  const sidecar = celOf(container, "Object.spec.initContainers");
  const status = `${celText(`{"v":${JSON.stringify(config.version)},"mode":"native","profile":${JSON.stringify(profileName)},"tenant":"`)} + variables.tenant + ${celText('"}')}`;
  return [
    textMutation("labels", LABEL.injected, celText("true"), "true"),
    textMutation("annotations", ANNOTATION.status, status, "!variables.hasSidecar"),
    volumeMutation(profile),
    appMutation("initContainers"),
    appMutation("containers"),
    `variables.hasSidecar ? [] : (has(object.spec.initContainers) ? [] : [${emptyList("/spec/initContainers")}]) + [${patch("/spec/initContainers/0", sidecar)}]`,
  ];
}

const patch = (path: string, value: string): string =>
  `JSONPatch{op: "add", path: ${celText(path)}, value: ${value}}`;

const escaped = (key: string): string => key.replaceAll("~", "~0").replaceAll("/", "~1");

function textMutation(member: string, key: string, value: string, condition: string): string {
  const map = `object.metadata.${member}`;
  return `!(${condition}) ? [] : has(${map}) ? [${patch(`/metadata/${member}/${escaped(key)}`, value)}] : [${patch(`/metadata/${member}`, `{${celText(key)}: ${value}}`)}]`;
}

/**
 * A list that is not there is put in empty first: the API server (1.36.3) panics over a patch whose value is a list of
 * objects, so that each is added by itself.
 */
const emptyList = (path: string): string => patch(path, "[]");

function volumeMutation(profile: Profile): string {
  const whole = `(has(object.spec.volumes) ? [] : [${emptyList("/spec/volumes")}])`;
  const each = sidecarVolumes(profile).map((volume) => {
    const isThere = `has(object.spec.volumes) && object.spec.volumes.exists(v, v.name == ${celText(volume.name)})`;
    return `(${isThere} ? [] : [${patch("/spec/volumes/-", celOf(volume, "Object.spec.volumes"))}])`;
  });
  return [whole, ...each].join(" + ");
}

/** For each container of a list its place, and what it lacks. */
function appMutation(list: "containers" | "initContainers"): string {
  const path = (rest: string): string => `"/spec/${list}/" + string(i) + ${celText(rest)}`;
  const isApp = `c.name != ${celText(SIDECAR)} && (${IS_ALL} || c.name in variables.selected)`;
  const forEach = (condition: string, rest: string, value: string): string =>
    `object.spec.${list}.transformList(i, c, ${isApp} && ${condition}, JSONPatch{op: "add", path: ${path(rest)}, value: ${value}})`;
  const additions = (member: string, found: string, value: string): string => {
    const isThere = `has(c.${member}) && c.${member}.exists(e, e.name == ${celText(found)})`;
    return `${forEach(`!has(c.${member})`, `/${member}`, "[]")} + ${forEach(`!(${isThere})`, `/${member}/-`, value)}`;
  };
  const variable = celOf(APP_VARIABLE, `Object.spec.${list}.env`);
  const mount = celOf(APP_MOUNT, `Object.spec.${list}.volumeMounts`);
  const both = `${additions("env", SOCKET_VARIABLE, variable)} + ${additions("volumeMounts", VOLUME.socket, mount)}`;
  return list === "containers" ? both : `!has(object.spec.${list}) ? [] : ${both}`;
}

/** (PM2) Each with the message that whoever creates the pod sees. */
function validations({ profileName, profile: { policyConfigMap } }: PolicyOptions): Json {
  const known = [ANNOTATION.profile, ANNOTATION.containers, ANNOTATION.logLevel, ANNOTATION.status];
  const knownLabels = [LABEL.inject, LABEL.tenant, LABEL.injected];
  const isKnown = (map: string, keys: readonly string[]): string =>
    `!has(${map}) || ${map}.all(k, !k.startsWith(${celText(OURS)}) || k in ${celTexts(keys)})`;
  const level = valueOf(ANNOTATIONS, ANNOTATION.logLevel, celText("info"));
  const names = `(object.spec.containers.map(c, c.name) + (has(object.spec.initContainers) ? object.spec.initContainers.map(c, c.name) : []))`;
  const pinned = `object.spec.initContainers.all(c, c.name != ${celText(SIDECAR)} || (has(c.args) && c.args.filter(a, a.startsWith("--tenant")) == ["--tenant=" + variables.tenant] && c.args[size(c.args) - 1] == "--tenant=" + variables.tenant && !(has(c.env) && c.env.exists(e, e.name == "IMPREST_TENANT"))))`;
  const profile = valueOf(ANNOTATIONS, ANNOTATION.profile, celText(DEFAULT_PROFILE));
  return [
    check(`${CHOICE} in ["", "true"]`, `label ${LABEL.inject}: allowed: "true", "false"`),
    check(
      "variables.tenant == variables.ownTenant || variables.tenant in variables.tenants",
      `label ${LABEL.tenant}: allowed: the namespace's tenant, and what its annotation ${ANNOTATION.tenants} lists`,
    ),
    check(isKnown(LABELS, knownLabels), `labels of a pod: allowed: ${knownLabels.join(", ")}`),
    check(isKnown(ANNOTATIONS, known), `annotations of a pod: allowed: ${known.join(", ")}`),
    check(
      `${level} in ${celTexts(LOG_LEVELS)}`,
      `annotation ${ANNOTATION.logLevel}: allowed: ${LOG_LEVELS.join(", ")}`,
    ),
    check(
      `${IS_ALL} || variables.selected.all(s, s in ${names})`,
      `annotation ${ANNOTATION.containers}: allowed: names of the pod's containers`,
    ),
    ...(profileName === DEFAULT_PROFILE
      ? [
          check(
            `variables.hasSidecar || ${profile} == ${celText(profileName)}`,
            `annotation ${ANNOTATION.profile}: allowed: a profile whose policy is there`,
          ),
        ]
      : []),
    check(
      `${profile} != ${celText(profileName)} || !has(object.spec.volumes) || object.spec.volumes.all(v, v.name != ${celText(VOLUME.policy)} || (has(v.configMap) && v.configMap.name == ${celText(policyConfigMap)}))`,
      `volume ${VOLUME.policy}: allowed: the one that the policy puts in`,
    ),
    check(
      `variables.hasSidecar && ${pinned}`,
      `container ${SIDECAR}: allowed: the one that the policy puts in, pinned to the pod's tenant`,
    ),
  ];
}

const check = (expression: string, message: string): Json => ({
  expression: `!variables.optedIn || (${expression})`,
  message: `imprest: ${message}`,
});
