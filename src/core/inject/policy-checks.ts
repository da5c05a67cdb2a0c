/** (PM2) What the validating policy refuses, each with the message that whoever creates the pod sees. */
import { FOREIGN_MOUNTS, OUR_SECRETS, READ_VARIABLES } from "./brought.ts";
import { celOf, celText, celTexts } from "./cel.ts";
import { ANNOTATION, HEALTH_PORT, HTTP_PORT, LABEL, OURS, PATH, SIDECAR, VOLUME } from "./name.ts";
import type { Json } from "./pod.ts";
import { DEFAULT_PROFILE, LOG_LEVELS, type InjectionConfig, type Profile } from "./profile.ts";
import {
  ANNOTATIONS,
  anySidecar,
  CHOICE,
  IS_ALL,
  LABELS,
  PROFILE,
  valueOf,
} from "./policy-terms.ts";
import { isExpression, sidecarVolumes, type Template, type VolumeTemplate } from "./template.ts";

export function validations(
  config: InjectionConfig,
  profileName: string,
  profile: Profile,
): readonly Json[] {
  // A pod whose profile nobody rendered meets the policy of the default one alone, which knows them all.
  const natives = [...config.profiles].filter(([, { mode }]) => mode === "native");
  const isDefault = profileName === DEFAULT_PROFILE;
  const known = isDefault ? natives : [[profileName, profile] as const];
  return [
    ...settingChecks(),
    ...(isDefault
      ? [
          check(
            `variables.hasSidecar ? ${PROFILE} in ${celTexts(natives.map(([name]) => name))} : ${PROFILE} == ${celText(profileName)}`,
            `annotation ${ANNOTATION.profile}: allowed: a profile whose policy is there`,
          ),
        ]
      : []),
    ...known.flatMap(([name, each]) => [
      ...volumeChecks(name, each),
      ...sidecarChecks(name, anySidecar(config, each)),
      ...LISTS.map((list) => mountCheck(list, name, each)),
    ]),
    check(
      "variables.hasSidecar",
      `container ${SIDECAR}: allowed: the one that the policy puts in, pinned to the pod's tenant`,
    ),
    ...LISTS.flatMap(placeChecks),
  ];
}

const LISTS = ["containers", "initContainers"] as const;

const check = (expression: string, message: string): Json => ({
  expression: `!variables.optedIn || (${expression})`,
  message: `imprest: ${message}`,
});

function settingChecks(): readonly Json[] {
  const known = [ANNOTATION.profile, ANNOTATION.containers, ANNOTATION.logLevel, ANNOTATION.status];
  const knownLabels = [LABEL.inject, LABEL.tenant, LABEL.injected];
  const isKnown = (map: string, keys: readonly string[]): string =>
    `!has(${map}) || ${map}.all(k, !k.startsWith(${celText(OURS)}) || k in ${celTexts(keys)})`;
  const level = valueOf(ANNOTATIONS, ANNOTATION.logLevel, celText("info"));
  const names = `(object.spec.containers.map(c, c.name) + (has(object.spec.initContainers) ? object.spec.initContainers.map(c, c.name) : []))`;
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
  ];
}

const unlessOf = (profileName: string, expression: string): string =>
  `${PROFILE} != ${celText(profileName)} || (${expression})`;

/** Each of the profile's volumes is what it renders. */
const volumeChecks = (profileName: string, profile: Profile): readonly Json[] =>
  sidecarVolumes(profile).map((volume) =>
    check(
      unlessOf(
        profileName,
        `!has(object.spec.volumes) || object.spec.volumes.all(v, v.name != ${celText(volume.name)} || (${isVolume(volume)}))`,
      ),
      `volume ${volume.name}: allowed: the one that the policy puts in`,
    ),
  );

/** Other keys of a ConfigMap or a Secret would come under the names of ours. */
const isVolume = (volume: VolumeTemplate): string =>
  [
    ...equalities("v", volume),
    ...["configMap", "secret"]
      .filter((kind) => kind in volume)
      .map((kind) => `!has(v.${kind}.items)`),
  ].join(" && ");

/** Quantities, of which the API server's types know nothing. They bound the pod's own memory alone. */
const UNTYPED = new Set(["sizeLimit"]);

/** What the template says, of whatever else is there. */
function equalities(path: string, template: Template): readonly string[] {
  if (Array.isArray(template)) {
    const list = template as readonly Template[];
    return [
      `size(${path}) == ${list.length}`,
      ...list.flatMap((each, at) => equalities(`${path}[${at}]`, each)),
    ];
  }
  if (typeof template === "object" && template !== null && !isExpression(template)) {
    return Object.entries(template)
      .filter(([key]) => !UNTYPED.has(key))
      .flatMap(([key, part]) => [`has(${path}.${key})`, ...equalities(`${path}.${key}`, part)]);
  }
  return [`${path} == ${celOf(template, "")}`];
}

interface Rendered {
  readonly image: Template;
  readonly args: Template;
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

/** (IJ3) The same members as in core/inject/brought. */
function sidecarChecks(profileName: string, container: Template): readonly Json[] {
  const { image, args, env, volumeMounts } = container as unknown as Rendered;
  const names = env.map(({ name }) => name);
  const values = env.map(({ name, value }) => {
    const found = `c.env.filter(e, e.name == ${celText(name)})`;
    return value === undefined
      ? `size(${found}) == 1`
      : `${found}.map(e, has(e.value) ? e.value : "") == ${celTexts([value])}`;
  });
  const ours = celTexts(volumeMounts.map(({ name, mountPath }) => `${name} ${mountPath}`));
  const isOurs = `((m.name + " " + m.mountPath) in ${ours} && !has(m.subPath) && !has(m.subPathExpr))`;
  const isForeign = [
    `!(m.name in ${celTexts(Object.values(VOLUME))})`,
    `m.mountPath.matches(${celText(FOREIGN_MOUNTS)})`,
    '!m.mountPath.contains("..")',
    ...OUR_SECRETS.map((path) => `!m.mountPath.startsWith(${celText(path)})`),
  ].join(" && ");
  const none = (member: string): string => `!has(c.${member})`;
  const probe = (member: string): string => `(!has(c.${member}) || !has(c.${member}.exec))`;
  const members: readonly (readonly [string, string])[] = [
    ["restartPolicy", 'has(c.restartPolicy) && c.restartPolicy == "Always"'],
    ["image", `c.image == ${celOf(image, "")}`],
    ["args", `has(c.args) && c.args == ${celOf(args, "")}`],
    ...["command", "workingDir", "envFrom", "lifecycle", "volumeDevices"].map(
      (member) => [member, none(member)] as const,
    ),
    ["probes", ["startupProbe", "readinessProbe", "livenessProbe"].map(probe).join(" && ")],
    [
      "env",
      `has(c.env) && ${values.join(" && ")} && c.env.all(e, e.name in ${celTexts(names)} || !e.name.matches(${celText(READ_VARIABLES)}))`,
    ],
    [
      "volumeMounts",
      `has(c.volumeMounts) && ${ours}.all(o, c.volumeMounts.exists(m, m.name + " " + m.mountPath == o)) && c.volumeMounts.all(m, ${isOurs} || (${isForeign}))`,
    ],
  ];
  return members.map(([member, expression]) =>
    check(
      unlessOf(
        profileName,
        `!has(object.spec.initContainers) || object.spec.initContainers.all(c, c.name != ${celText(SIDECAR)} || (${expression}))`,
      ),
      `container ${SIDECAR}: ${member}: allowed: what the policy puts in, pinned to the pod's tenant`,
    ),
  );
}

/** As in core/inject/conflict, to the end of the file. */
const mounts = (expression: string): string =>
  `!has(c.volumeMounts) || c.volumeMounts.all(m, ${expression})`;
const SOCKET = celText(VOLUME.socket);

function mountCheck(list: string, profileName: string, profile: Profile): Json {
  const volumes = celTexts(sidecarVolumes(profile).map(({ name }) => name));
  const isReadOnly = "has(m.readOnly) && m.readOnly";
  return ofEach(
    list,
    unlessOf(
      profileName,
      mounts(`!(m.name in ${volumes}) || (m.name == ${SOCKET} && ${isReadOnly})`),
    ),
    `of the sidecar's volumes ${VOLUME.socket} alone, readOnly: true`,
  );
}

function placeChecks(list: string): readonly Json[] {
  const isSelected = `(${IS_ALL} || c.name in variables.selected)`;
  const [run = "", imprest = ""] = PATH.socket.slice(1).split("/");
  const path = `^/[./]*${run}/[./]*${imprest}[./]*$`;
  return [
    ofEach(
      list,
      `!${isSelected} || ${mounts(`m.name == ${SOCKET} || !m.mountPath.matches(${celText(path)})`)}`,
      `no volume of its own at ${PATH.socket}`,
    ),
    ofEach(
      list,
      `!has(c.ports) || c.ports.all(p, !(p.containerPort in [${HEALTH_PORT}, ${HTTP_PORT}]) || (has(p.protocol) && p.protocol != "TCP"))`,
      `any port but ${HEALTH_PORT} and ${HTTP_PORT}, where the sidecar listens`,
    ),
  ];
}

/** The message names the containers that it is about. */
function ofEach(list: string, expression: string, allowed: string): Json {
  const all = `object.spec.${list}`;
  const isThere = list === "containers" ? "true" : `has(${all})`;
  const isFine = `c.name == ${celText(SIDECAR)} || (${expression})`;
  const text = `allowed: ${allowed}`;
  return {
    expression: `!variables.optedIn || !${isThere} || ${all}.all(c, ${isFine})`,
    message: `imprest: a container in ${list}: ${text}`,
    messageExpression: `"imprest: container " + ${all}.filter(c, !(${isFine})).map(c, c.name).join(", ") + ${celText(`: ${text}`)}`,
  };
}
