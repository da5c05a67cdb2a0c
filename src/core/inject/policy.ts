/**
 * The webhook's patch as a MutatingAdmissionPolicy, for clusters that have it (Kubernetes 1.36): no server, no
 * certificate, nothing that can be down. A second, validating policy refuses what the webhook would refuse.
 *
 *   PM1  A pod that the policy takes is the pod that the webhook makes of it, byte for byte.
 *   PM2  It refuses what the webhook refuses, and what it cannot do: annotations imprest.dev/mode, memory-limit,
 *        allow-job, a profile that was not rendered. It has no Events and no warnings.
 *
 * One pair of policies is for one profile. Everything that differs from pod to pod is worked out by the API server:
 * the tenant (from the namespace, by the same rule), the log level, which containers get the socket.
 */
import { assert } from "../assert.ts";
import { celOf, celText } from "./cel.ts";
import { ANNOTATION, LABEL, SIDECAR, SOCKET_VARIABLE, VOLUME } from "./name.ts";
import type { Json } from "./pod.ts";
import { validations } from "./policy-checks.ts";
import { ANNOTATIONS, anySidecar, IS_ALL, PROFILE, VARIABLES } from "./policy-terms.ts";
import { DEFAULT_PROFILE, type InjectionConfig, type Profile } from "./profile.ts";
import { APP_MOUNT, APP_VARIABLE, sidecarVolumes } from "./template.ts";

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
        validations: validations(options.config, options.profileName, options.profile),
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

/** Nothing that is skipped, as in core/inject/ruling. `isMutating` picks the profile's pods alone. */
function conditions({ profileName }: PolicyOptions, isMutating: "true" | "false"): Json {
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
      ? [{ name: "profile", expression: `${PROFILE} == ${celText(profileName)}` }]
      : []),
  ];
}

function mutations(options: PolicyOptions): readonly string[] {
  const { profile, profileName, config } = options;
  const sidecar = celOf(anySidecar(config, profile), "Object.spec.initContainers");
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
