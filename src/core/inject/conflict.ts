/** What in a pod is in the sidecar's place: volumes, paths and ports that are the sidecar's, or a sidecar of its own. */
import { strangeness } from "./brought.ts";
import { ANNOTATION, HEALTH_PORT, HTTP_PORT, PATH, SIDECAR, VOLUME } from "./name.ts";
import { renderedFor, sidecarOf, type Wanted } from "./patch.ts";
import type { Container, Pod } from "./pod.ts";
import type { InjectionConfig } from "./profile.ts";
import { isSame } from "./same.ts";
import { filled, sidecarVolumes } from "./template.ts";

/**
 * A pod that is to end, a Job's above all, is kept from it by an ordinary container that never does.
 * `isAllowed`: the app ends the pod itself.
 */
export function endlessness(
  { owner, isToEnd }: Pod,
  { mode }: Wanted,
  isAllowed: boolean,
): readonly string[] {
  const isJob = owner?.kind === "Job";
  if (mode === "native" || isAllowed || !(isJob || isToEnd)) return [];
  const who = isJob ? "a Job" : "a pod whose restartPolicy is not Always,";
  return [
    `${who} with a classic sidecar never completes; allowed: annotation ${ANNOTATION.mode}: native, or ${ANNOTATION.allowJob}: "true" where the app ends the pod itself`,
  ];
}

/** (IJ3) */
export function foreignSidecar(
  pod: Pod,
  wanted: Wanted,
  config: InjectionConfig,
): readonly string[] {
  const there = sidecarOf(pod);
  if (there === undefined) return [];
  const isAmongInit = pod.initContainers?.includes(there) === true;
  const place = wanted.mode === "native" ? "initContainers" : "containers";
  if (isAmongInit !== (wanted.mode === "native")) {
    return [
      `container ${SIDECAR}: found in ${isAmongInit ? "initContainers" : "containers"}; allowed: in ${place}, or none, the injector puts it in`,
    ];
  }
  return strangeness(there, renderedFor(pod, wanted, config));
}

/** What the API server adds to a volume that does not say it. */
const MODE = new Set(["defaultMode"]);

export function takenVolumes(pod: Pod, { profile }: Wanted): readonly string[] {
  return sidecarVolumes(profile).flatMap((volume) => {
    const { name } = volume;
    const there = pod.volumes?.get(name);
    return there === undefined || isSame(filled(volume), there, MODE)
      ? []
      : [`volume ${name}: found another one of that name; allowed: any other name`];
  });
}

/** Mounts and ports of the app's containers. Whether a container is to get the socket makes no difference to it. */
export function takenPlaces(pod: Pod, { profile, containers }: Wanted): readonly string[] {
  const volumes = sidecarVolumes(profile).map(({ name }) => name);
  return [...(pod.initContainers ?? []), ...pod.containers]
    .filter(({ name }) => name !== SIDECAR)
    .flatMap((app) => [
      ...((containers?.includes(app.name) ?? true) ? takenPath(app) : []),
      ...borrowedVolumes(app, volumes),
      ...takenPorts(app),
    ]);
}

const takenPath = ({ name, volumeMounts = [] }: Container): readonly string[] =>
  volumeMounts.some((each) => each.name !== VOLUME.socket && folded(each.mountPath) === PATH.socket)
    ? [`container ${name}: found another volume at ${PATH.socket}; allowed: any other path`]
    : [];

/** "/run//imprest/" is "/run/imprest". */
function folded(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** The app may connect to the socket. Whoever could write there could answer in the sidecar's place. */
const borrowedVolumes = (
  { name, volumeMounts = [] }: Container,
  volumes: readonly string[],
): readonly string[] =>
  volumeMounts
    .filter((each) => volumes.includes(each.name))
    .filter((each) => each.name !== VOLUME.socket || !each.readOnly)
    .map((each) =>
      each.name === VOLUME.socket
        ? `container ${name}: found volume ${each.name} to be written to; allowed: readOnly: true, or none, the injector mounts it`
        : `container ${name}: found volume ${each.name}; allowed: none of the sidecar's volumes but ${VOLUME.socket}`,
    );

/** All containers of a pod share its network: one of the two would not start. */
const takenPorts = ({ name, ports }: Container): readonly string[] =>
  ports
    .filter((port) => port === HEALTH_PORT || port === HTTP_PORT)
    .map(
      (port) =>
        `container ${name}: found port ${port}, where the sidecar listens; allowed: any but ${HEALTH_PORT} and ${HTTP_PORT}`,
    );
