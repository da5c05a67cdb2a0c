/**
 * What becomes of a pod that is being created.
 *
 *   IJ1  A pod that did not opt in is let through untouched, whatever else it says.
 *   IJ2  A pod that opted in gets its sidecar, or is refused with every reason at once, or is skipped for a reason
 *        that is told: none goes without it silently.
 *   IJ3  A pod never works for a tenant that its namespace does not have, with a sidecar of its own making neither.
 *
 * Opted in is a pod whose label imprest.dev/inject is "true", or whose namespace's label imprest.dev/injection is
 * "enabled" while the pod does not say "false".
 */
import { LABEL, PATH, SIDECAR, VOLUME } from "./name.ts";
import { patchOf, sidecarOf, type Addition, type Wanted } from "./patch.ts";
import type { Container, Json, Namespace, Pod } from "./pod.ts";
import { DEFAULT_PROFILE, type InjectionConfig } from "./profile.ts";
import { readSettings, type Settings } from "./settings.ts";
import { filled, sidecarVolumes } from "./template.ts";
import { tenancy } from "./tenant.ts";

export type SkipReason = "HostNetwork" | "Windows" | "MirrorPod";

/** Tenant is told apart from Settings: somebody claims what is not theirs. */
export type RefusalReason = "Settings" | "Tenant" | "Conflict" | "Job";

export type Ruling =
  /** Not opted in. */
  | { readonly kind: "ignored" }
  | { readonly kind: "skipped"; readonly reason: SkipReason; readonly message: string }
  | {
      readonly kind: "refused";
      readonly reason: RefusalReason;
      readonly problems: readonly string[];
    }
  /** `patch` may be empty: then there is nothing to add. */
  | {
      readonly kind: "injected";
      readonly patch: readonly Addition[];
      readonly warnings: readonly string[];
      readonly profile: string;
    };

const MIRROR_POD = "kubernetes.io/config.mirror";

/** A sidecar needs up to 1.5 s to give its leases back; the app's own time comes first. */
const SHORT_GRACE_SECONDS = 5;

export function rule(pod: Pod, namespace: Namespace, config: InjectionConfig): Ruling {
  const choice = pod.labels?.get(LABEL.inject);
  const isEnabled = namespace.labels?.get(LABEL.injection) === "enabled";
  if (choice === "false" || (choice === undefined && !isEnabled)) return { kind: "ignored" };
  // Not "true": neither yes nor no. With a namespace that says nothing it is still somebody's wish.
  if (choice !== undefined && choice !== "true") {
    const problem = `label ${LABEL.inject}: found ${JSON.stringify(choice)}; allowed: "true", "false"`;
    return { kind: "refused", reason: "Settings", problems: [problem] };
  }
  const skipped = skip(pod);
  if (skipped !== undefined) return skipped;

  const problems: string[] = [];
  const settings = readSettings(pod, config, problems);
  const tenant = tenancy(pod, namespace);
  if ("problem" in tenant) {
    return { kind: "refused", reason: "Tenant", problems: [tenant.problem, ...problems] };
  }
  if (problems.length > 0 && config.strictAnnotations) {
    return { kind: "refused", reason: "Settings", problems };
  }
  const wanted = wish(settings, tenant.tenant, config);
  if (wanted === undefined) return { kind: "refused", reason: "Settings", problems: [NO_PROFILE] };
  const conflict = jobConflict(pod, wanted, settings) ?? conflictOf(pod, wanted);
  if (conflict !== undefined) return conflict;
  return {
    kind: "injected",
    patch: patchOf(pod, wanted, config),
    warnings: [...problems, ...warningsOf(pod, wanted, config)],
    profile: wanted.profileName,
  };
}

const NO_PROFILE = `the injector has no profile called ${DEFAULT_PROFILE}, and the pod names none`;

function skip(pod: Pod): Ruling | undefined {
  const because = (reason: SkipReason, message: string): Ruling => ({
    kind: "skipped",
    reason,
    message: `no sidecar: ${message}`,
  });
  if (pod.annotations?.has(MIRROR_POD) === true) {
    return because("MirrorPod", "a static pod of a node; the API server cannot change it");
  }
  if (pod.hostNetwork) {
    return because(
      "HostNetwork",
      `the pod is on its node's network, where the sidecar's ports are not its own; label it ${LABEL.inject}: "false", or use a DaemonSet's socket`,
    );
  }
  if (pod.os === "windows") return because("Windows", "there is no image for Windows");
  return undefined;
}

function wish(settings: Settings, tenant: string, config: InjectionConfig): Wanted | undefined {
  const profile = config.profiles.get(settings.profile);
  if (profile === undefined) return undefined;
  return {
    profileName: settings.profile,
    profile,
    tenant,
    mode: settings.mode ?? profile.mode,
    memoryLimit: settings.memoryLimit ?? profile.resources.limits["memory"] ?? "",
    logLevel: settings.logLevel ?? profile.logLevel,
    containers: settings.containers,
  };
}

/** An ordinary container that never ends keeps a Job from ever completing. */
function jobConflict(pod: Pod, { mode }: Wanted, { allowJob }: Settings): Ruling | undefined {
  if (mode === "native" || pod.owner?.kind !== "Job" || allowJob) return undefined;
  const problem =
    'a Job with a classic sidecar never completes; allowed: annotation imprest.dev/mode: native, or imprest.dev/allow-job: "true" where the app ends the pod itself';
  return { kind: "refused", reason: "Job", problems: [problem] };
}

/** What in the pod is in the sidecar's place. */
function conflictOf(pod: Pod, wanted: Wanted): Ruling | undefined {
  const there = sidecarOf(pod);
  const problems =
    there === undefined
      ? [...takenVolumes(pod, wanted), ...takenPaths(pod, wanted)]
      : foreignTenant(there, wanted);
  if (problems.length === 0) return undefined;
  const reason = there === undefined ? "Conflict" : "Tenant";
  return { kind: "refused", reason, problems };
}

function takenVolumes(pod: Pod, { profile }: Wanted): readonly string[] {
  return sidecarVolumes(profile).flatMap((volume) => {
    const { name } = volume;
    const there = pod.volumes?.get(name);
    return there === undefined || isWithin(filled(volume), there)
      ? []
      : [`volume ${name}: found another one of that name; allowed: any other name`];
  });
}

function takenPaths(pod: Pod, { containers }: Wanted): readonly string[] {
  const apps = [...(pod.initContainers ?? []), ...pod.containers].filter(
    ({ name }) => containers?.includes(name) ?? true,
  );
  return apps
    .filter(({ volumeMounts }) =>
      volumeMounts?.some(
        ({ name, mountPath }) => mountPath === PATH.socket && name !== VOLUME.socket,
      ),
    )
    .map(
      ({ name }) =>
        `container ${name}: found another volume at ${PATH.socket}; allowed: any other path`,
    );
}

/** (IJ3) A pod may come with its sidecar, from a manifest or because it is looked at again. */
function foreignTenant({ args, env }: Container, { tenant }: Wanted): readonly string[] {
  const said = args.filter((word) => word.startsWith("--tenant"));
  const isPinned = said.length === 1 && said[0] === `--tenant=${tenant}` && args.at(-1) === said[0];
  const isSaidElsewhere = env?.some(({ name }) => name === "IMPREST_TENANT") ?? false;
  if (isPinned && !isSaidElsewhere) return [];
  return [
    `container ${SIDECAR}: found one that does not end in --tenant=${tenant}; allowed: none, the injector puts it in`,
  ];
}

function warningsOf(pod: Pod, wanted: Wanted, config: InjectionConfig): readonly string[] {
  const warnings: string[] = [];
  if (pod.graceSeconds < SHORT_GRACE_SECONDS) {
    warnings.push(
      `terminationGracePeriodSeconds is ${pod.graceSeconds}: below ${SHORT_GRACE_SECONDS} the sidecar may not be able to give back what it holds`,
    );
  }
  const there = sidecarOf(pod);
  if (there !== undefined && there.image !== config.image.reference) {
    warnings.push(
      `${SIDECAR} was in the pod already, as ${there.image} instead of ${config.image.reference}; it is left as it is`,
    );
  }
  if (there === undefined && wanted.mode === "classic" && pod.owner?.kind === "Job") {
    warnings.push("a Job with a classic sidecar completes only if the app ends the pod");
  }
  return warnings;
}

/** Every member of `part` is in `whole`, where the API server may have added some of its own. */
function isWithin(part: Json, whole: Json | undefined): boolean {
  if (typeof part !== "object" || part === null) return part === whole;
  if (typeof whole !== "object" || whole === null) return false;
  const inner = new Map(Object.entries(part));
  const outer = new Map(Object.entries(whole));
  if (Array.isArray(part) && inner.size !== outer.size) return false;
  return [...inner].every(([key, value]) => isWithin(value, outer.get(key)));
}
