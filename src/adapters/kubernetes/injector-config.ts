/** The injector's configuration: one YAML or JSON document, every problem of it told at once. */
import { load } from "js-yaml";
import { z } from "zod";
import { bytesOf, limitOf, MEMORY_ALLOWED } from "../../core/inject/memory.ts";
import {
  LOG_LEVELS,
  MODES,
  type InjectionConfig,
  type Profile,
} from "../../core/inject/profile.ts";
import type { DurationMs } from "../../core/time.ts";

export interface InjectorConfig {
  readonly injection: InjectionConfig;
  /** Where the injector itself runs. */
  readonly namespace: string;
  readonly service: string;
  readonly clusterDomain: string;
  /** Of the Secret with its certificates, the MutatingWebhookConfiguration, the Lease. */
  readonly secret: string;
  readonly webhook: string;
  readonly lease: string;
  readonly events: boolean;
  /** Further ones that policies leave alone; the webhook has them in its selectors. */
  readonly excludedNamespaces: readonly string[];
  readonly certificates: CertificateTimes;
}

export interface CertificateTimes {
  readonly caLifetimeMs: DurationMs;
  readonly leafLifetimeMs: DurationMs;
  /** How long a new authority is trusted before, and an old one after, it is used. */
  readonly overlapMs: DurationMs;
}

const UNITS_MS = new Map([
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

const duration = (fallback: string) =>
  z
    .string()
    .regex(/^\d{1,6}[smhd]$/, "allowed: a duration such as 90s, 12h or 365d")
    .default(fallback)
    .transform((text) => Number.parseInt(text, 10) * (UNITS_MS.get(text.slice(-1)) ?? 0));

const objectName = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, "allowed: the name of a Kubernetes object");

const quantities = z.record(z.string(), z.string());
const resources = z.strictObject({
  requests: quantities
    .refine(
      ({ cpu }) => cpu !== undefined,
      "cpu: allowed: said, or autoscaling on CPU stops for the whole pod",
    )
    .refine(
      ({ memory }) => memory !== undefined && bytesOf(memory) !== undefined,
      "memory: allowed: a size such as 128Mi",
    ),
  limits: quantities.refine(
    ({ memory }) => memory !== undefined && limitOf(memory) !== undefined,
    `memory: allowed: ${MEMORY_ALLOWED}`,
  ),
});

const DEFAULT_RESOURCES = {
  requests: { cpu: "20m", memory: "128Mi" },
  limits: { memory: "192Mi" },
};

const ProfileShape = z
  .strictObject({
    store: z.string().min(1),
    storeConfirm: z.enum(["auto", "strict", "off"]).optional(),
    storeFencing: z.enum(["replid", "none"]).optional(),
    policyConfigMap: objectName,
    storePasswordSecret: z
      .strictObject({
        name: objectName,
        key: z
          .string()
          .regex(/^[-._A-Za-z0-9]+$/)
          .default("password"),
      })
      .optional(),
    storeTlsSecret: z.strictObject({ name: objectName }).optional(),
    mode: z.enum(MODES).default("native"),
    logLevel: z.enum(LOG_LEVELS).default("info"),
    runAsUser: z.number().int().min(1).nullable().default(65_532),
    resources: resources.default(DEFAULT_RESOURCES),
    args: z.array(z.string()).default([]),
  })
  .transform(
    ({ storeConfirm, storeFencing, storePasswordSecret, storeTlsSecret, ...rest }): Profile => ({
      ...rest,
      storeConfirm,
      storeFencing,
      storePasswordSecret,
      storeTlsSecret,
    }),
  );

const Document = z.strictObject({
  apiVersion: z.literal("imprest.dev/v1"),
  kind: z.literal("Injector"),
  namespace: objectName,
  service: objectName,
  clusterDomain: z.string().default("cluster.local"),
  secret: objectName,
  webhook: objectName,
  lease: objectName,
  strictAnnotations: z.boolean().default(true),
  events: z.boolean().default(true),
  excludedNamespaces: z.array(objectName).default([]),
  certificates: z.prefault(
    z.strictObject({
      caLifetime: duration("365d"),
      leafLifetime: duration("7d"),
      overlap: duration("1h"),
    }),
    {},
  ),
  image: z.strictObject({
    reference: z.string().min(1),
    pullPolicy: z.enum(["Always", "IfNotPresent", "Never"]).default("IfNotPresent"),
  }),
  profiles: z
    .record(objectName, ProfileShape)
    .refine((profiles) => Object.keys(profiles).length > 0, "allowed: at least one profile"),
});

export type ConfigReading =
  | { readonly config: InjectorConfig }
  /** "profiles.default.store: …". */
  | { readonly problems: readonly string[] };

/** `version`: of the program. */
export function readInjectorConfig(text: string, version: string): ConfigReading {
  let document: unknown;
  try {
    document = load(text);
  } catch (error) {
    return {
      problems: [error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error)],
    };
  }
  const shape = Document.safeParse(document);
  if (!shape.success) {
    return {
      problems: shape.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`),
    };
  }
  const { image, profiles, strictAnnotations, certificates, ...rest } = shape.data;
  const { caLifetime, leafLifetime, overlap } = certificates;
  if (leafLifetime * 2 > caLifetime || overlap * 2 > leafLifetime || overlap < 1_000) {
    return {
      problems: [
        "certificates: allowed: an overlap of at least 1s and at most half of leafLifetime, and that of at most half of caLifetime",
      ],
    };
  }
  return {
    config: {
      ...rest,
      injection: { version, image, strictAnnotations, profiles: new Map(Object.entries(profiles)) },
      certificates: { caLifetimeMs: caLifetime, leafLifetimeMs: leafLifetime, overlapMs: overlap },
    },
  };
}
