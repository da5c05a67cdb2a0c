/**
 * The patch (RFC 6902) that gives a pod its sidecar.
 *
 *   PB1  It adds and does nothing else: whatever was in the pod is in it afterwards, in the same order. The
 *        injector's own label and annotation alone are replaced where somebody copied them.
 *   PB2  Applied, it leaves nothing to add: the patch of a patched pod is empty.
 *   PB3  A pod that has its sidecar gets only what containers that came later lack.
 */
import { ANNOTATION, LABEL, SIDECAR, SOCKET_VARIABLE, VOLUME } from "./name.ts";
import type { Container, Json, JsonMembers, Pod, Texts } from "./pod.ts";
import type { InjectionConfig, Mode, Profile } from "./profile.ts";
import {
  APP_MOUNT,
  APP_VARIABLE,
  filled,
  sidecarContainer,
  sidecarVolumes,
  statusOf,
} from "./template.ts";

export interface Addition {
  readonly op: "add";
  /** A JSON pointer. */
  readonly path: string;
  readonly value: Json;
}

export interface Wanted {
  readonly profileName: string;
  readonly profile: Profile;
  readonly tenant: string;
  readonly mode: Mode;
  readonly memoryLimit: string;
  readonly logLevel: string;
  /** Containers that get the socket; `undefined`: all. */
  readonly containers: readonly string[] | undefined;
}

export const sidecarOf = (pod: Pod): Container | undefined =>
  [...(pod.initContainers ?? []), ...pod.containers].find(({ name }) => name === SIDECAR);

export function patchOf(pod: Pod, wanted: Wanted, config: InjectionConfig): readonly Addition[] {
  const isThere = sidecarOf(pod) !== undefined;
  return [
    ...metadataAdditions(pod, wanted, config),
    ...volumeAdditions(pod, wanted),
    ...appAdditions("/spec/initContainers", pod.initContainers ?? [], wanted.containers),
    ...appAdditions("/spec/containers", pod.containers, wanted.containers),
    // Last, since it moves the places of the init containers.
    ...(isThere ? [] : [containerAddition(pod, wanted, config)]),
  ];
}

const add = (path: string, value: Json): Addition => ({ op: "add", path, value });

/** A key as part of a JSON pointer. */
const pointer = (key: string): string => key.replaceAll("~", "~0").replaceAll("/", "~1");

function metadataAdditions(
  pod: Pod,
  { mode, profileName, tenant }: Wanted,
  { version }: InjectionConfig,
): readonly Addition[] {
  const status = statusOf(version, { mode, profile: profileName, tenant });
  // Of a pod that has its sidecar already, what was said stays, even if another version said it.
  const isTold = sidecarOf(pod) !== undefined && pod.annotations?.has(ANNOTATION.status) === true;
  return [
    ...textAddition("/metadata/labels", pod.labels, LABEL.injected, "true"),
    ...(isTold
      ? []
      : textAddition("/metadata/annotations", pod.annotations, ANNOTATION.status, status)),
  ];
}

function textAddition(
  path: string,
  texts: Texts | undefined,
  key: string,
  value: string,
): readonly Addition[] {
  if (texts === undefined) return [add(path, { [key]: value })];
  return texts.get(key) === value ? [] : [add(`${path}/${pointer(key)}`, value)];
}

function volumeAdditions(pod: Pod, { profile }: Wanted): readonly Addition[] {
  const missing = sidecarVolumes(profile).filter(
    (volume) => pod.volumes?.has(volume.name) !== true,
  );
  if (missing.length === 0) return [];
  if (pod.volumes === undefined) return [add("/spec/volumes", missing.map(filled))];
  return missing.map((volume) => add("/spec/volumes/-", filled(volume)));
}

function appAdditions(
  path: string,
  containers: readonly Container[],
  selected: readonly string[] | undefined,
): readonly Addition[] {
  return containers.flatMap((container, index) => {
    const isApp = container.name !== SIDECAR && (selected?.includes(container.name) ?? true);
    return isApp ? socketAdditions(`${path}/${index}`, container) : [];
  });
}

function socketAdditions(path: string, { env, volumeMounts }: Container): readonly Addition[] {
  const additions: Addition[] = [];
  if (env?.some(({ name }) => name === SOCKET_VARIABLE) !== true) {
    additions.push(
      env === undefined ? add(`${path}/env`, [APP_VARIABLE]) : add(`${path}/env/-`, APP_VARIABLE),
    );
  }
  if (volumeMounts?.some(({ name }) => name === VOLUME.socket) !== true) {
    additions.push(
      volumeMounts === undefined
        ? add(`${path}/volumeMounts`, [APP_MOUNT])
        : add(`${path}/volumeMounts/-`, APP_MOUNT),
    );
  }
  return additions;
}

/** The sidecar that this pod is to have. */
export function renderedFor(pod: Pod, wanted: Wanted, config: InjectionConfig): JsonMembers {
  const slots = { ...wanted, graceSeconds: pod.graceSeconds };
  return filled(sidecarContainer(config, wanted.profile, slots)) as JsonMembers;
}

/** First of the init containers, so that they too may reserve; a classic one last of the containers. */
function containerAddition(pod: Pod, wanted: Wanted, config: InjectionConfig): Addition {
  const container = renderedFor(pod, wanted, config);
  if (wanted.mode === "classic") return add("/spec/containers/-", container);
  return pod.initContainers === undefined
    ? add("/spec/initContainers", [container])
    : add("/spec/initContainers/0", container);
}

/** The object with the patch applied, for where no API server does it. The object is left as it is. */
export function withAdditions(object: Json, additions: readonly Addition[]): Json {
  return additions.reduce((each, { path, value }) => {
    const keys = path.split("/").slice(1);
    return withAddition(each, keys.map(unescaped), value);
  }, object);
}

const unescaped = (key: string): string => key.replaceAll("~1", "/").replaceAll("~0", "~");

function withAddition(object: Json, [key = "", ...rest]: readonly string[], value: Json): Json {
  if (Array.isArray(object)) {
    const list: readonly Json[] = object;
    const place = key === "-" ? list.length : Number(key);
    if (rest.length === 0) return list.toSpliced(place, 0, value);
    return list.with(place, withAddition(list[place] ?? {}, rest, value));
  }
  const members = new Map(Object.entries(object ?? {})) as Map<string, Json>;
  const part = rest.length === 0 ? value : withAddition(members.get(key) ?? {}, rest, value);
  return Object.fromEntries(members.set(key, part));
}
