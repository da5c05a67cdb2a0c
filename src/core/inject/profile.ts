/** What the platform says about sidecars: the injector's configuration, as far as a pod's patch depends on it. */

export type Mode = "native" | "classic";

export const MODES = ["native", "classic"] as const satisfies readonly Mode[];

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

export interface Image {
  readonly reference: string;
  readonly pullPolicy: string;
}

/** Quantities as Kubernetes writes them: "20m", "192Mi". */
export interface Resources {
  readonly requests: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, string>>;
}

export interface Profile {
  readonly store: string;
  readonly storeConfirm: string | undefined;
  readonly storeFencing: string | undefined;
  /** In the pod's namespace, as are both Secrets. */
  readonly policyConfigMap: string;
  readonly storePasswordSecret: { readonly name: string; readonly key: string } | undefined;
  readonly storeTlsSecret: { readonly name: string } | undefined;
  readonly mode: Mode;
  readonly logLevel: string;
  /** null: left to the platform, which on OpenShift gives each namespace a range of its own. */
  readonly runAsUser: number | null;
  readonly resources: Resources;
  /** Further flags of `imprest sidecar`. */
  readonly args: readonly string[];
}

export interface InjectionConfig {
  /** Of the program, for the status annotation. */
  readonly version: string;
  readonly image: Image;
  /** By name; the one called `default` is for pods that name none. */
  readonly profiles: ReadonlyMap<string, Profile>;
  /** Settings of a pod that nobody can read: refused, or else warned about and left out. */
  readonly strictAnnotations: boolean;
}

export const DEFAULT_PROFILE = "default";
