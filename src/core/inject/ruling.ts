/**
 * What becomes of a pod that is being created.
 *
 *   IJ1  A pod that did not opt in is let through untouched, whatever else it says.
 *   IJ2  A pod that opted in gets its sidecar, or is refused with every reason at once, or is skipped for a reason
 *        that is told: none goes without it silently.
 *   IJ3  A pod never works for a tenant that its namespace does not have, with a sidecar of its own making neither:
 *        that one is taken only where it is what the injector would put in.
 *
 * Opted in is a pod whose label imprest.dev/inject is "true", or whose namespace's label imprest.dev/injection is
 * "enabled" while the pod does not say "false".
 */
import { endlessness, foreignSidecar, takenPlaces, takenVolumes } from "./conflict.ts";
import { LABEL } from "./name.ts";
import { patchOf, sidecarOf, type Addition, type Wanted } from "./patch.ts";
import type { Namespace, Pod } from "./pod.ts";
import { DEFAULT_PROFILE, type InjectionConfig } from "./profile.ts";
import { readSettings, type Settings } from "./settings.ts";
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
  const conflict = conflictOf(pod, wanted, config, settings.allowJob);
  if (conflict !== undefined) return conflict;
  return {
    kind: "injected",
    patch: patchOf(pod, wanted, config),
    warnings: [...problems, ...warningsOf(pod, wanted)],
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

function conflictOf(
  pod: Pod,
  wanted: Wanted,
  config: InjectionConfig,
  isAllowedJob: boolean,
): Ruling | undefined {
  const found: readonly (readonly [RefusalReason, readonly string[]])[] = [
    ["Tenant", foreignSidecar(pod, wanted, config)],
    ["Job", endlessness(pod, wanted, isAllowedJob)],
    ["Conflict", [...takenVolumes(pod, wanted), ...takenPlaces(pod, wanted)]],
  ];
  const [first] = found.filter(([, problems]) => problems.length > 0);
  return first === undefined
    ? undefined
    : { kind: "refused", reason: first[0], problems: found.flatMap(([, problems]) => problems) };
}

function warningsOf(pod: Pod, wanted: Wanted): readonly string[] {
  const warnings: string[] = [];
  if (pod.graceSeconds < SHORT_GRACE_SECONDS) {
    warnings.push(
      `terminationGracePeriodSeconds is ${pod.graceSeconds}: below ${SHORT_GRACE_SECONDS} the sidecar may not be able to give back what it holds`,
    );
  }
  const isPutIn = sidecarOf(pod) === undefined;
  if (isPutIn && wanted.mode === "classic" && (pod.owner?.kind === "Job" || pod.isToEnd)) {
    warnings.push(
      "with a classic sidecar a Job, or a pod that is to end, completes only if the app ends the pod",
    );
  }
  return warnings;
}
