/** `imprest inject render`: what the webhook would put into a pod, for clusters that are to go without it. */
import { readFile } from "node:fs/promises";
import {
  at,
  podPlaceOf,
  readManifests,
  textAt,
  writeManifests,
} from "../adapters/kubernetes/manifest.ts";
import { readPod } from "../adapters/kubernetes/object.ts";
import { readInjectorConfig, type InjectorConfig } from "../adapters/kubernetes/injector-config.ts";
import { ANNOTATION, LABEL } from "../core/inject/name.ts";
import { withAdditions } from "../core/inject/patch.ts";
import type { Json, Namespace } from "../core/inject/pod.ts";
import { policiesOf } from "../core/inject/policy.ts";
import { rule } from "../core/inject/ruling.ts";
import { allowedWords } from "../core/policy/suggestion.ts";
import { defineCommand, type Command } from "./command.ts";
import { defaulted, optional, required, type Values } from "./flag.ts";
import type { Host } from "./host.ts";
import { listOf, matching, oneOf, tenantName, text } from "./reader.ts";
import { packageVersion } from "./version.ts";

const objectName = matching(
  /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/,
  "the name of a Kubernetes object",
);

const DEFAULT_NAMESPACE = "default";

const FLAGS = {
  as: required(
    "FORM",
    "manifest: objects with the sidecar in them, to paste or to keep in git. policy: a MutatingAdmissionPolicy (Kubernetes 1.36) that makes the same pods without a webhook, and the policy that refuses what the webhook would refuse.",
    oneOf("manifest", "policy"),
  ),
  config: required("FILE", "The injector's configuration: image and profiles.", text),
  profile: defaulted(
    "NAME",
    "default",
    "The profile that a policy is made of, and a manifest's pods that name none.",
    text,
  ),
  pod: optional(
    "FILE",
    "A manifest: pods, Deployments, StatefulSets, DaemonSets, Jobs, CronJobs; other objects pass as they are. Default: an example.",
    text,
  ),
  namespace: defaulted(
    "NAME",
    DEFAULT_NAMESPACE,
    "The namespace that objects of a manifest go to, where they do not say it themselves.",
    objectName,
  ),
  tenant: optional(
    "NAME",
    "The tenant of that namespace, as its label imprest.dev/tenant says. Default: the namespace's name.",
    tenantName,
  ),
  exclude: defaulted(
    "LIST",
    "kube-system,kube-public,kube-node-lease",
    "Namespaces that a policy leaves alone, comma-separated, beside the injector's own and its excludedNamespaces.",
    listOf(objectName),
  ),
} as const;

/** To be told to the operator; nothing was printed. */
class RenderError extends Error {
  override readonly name = "RenderError";
}

const EXAMPLE = `apiVersion: v1
kind: Pod
metadata:
  name: agent
spec:
  containers:
    - name: agent
      image: registry.example/agent:1
`;

async function readOrRefuse(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new RenderError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

async function render(host: Host, values: Values<typeof FLAGS>): Promise<string> {
  const reading = readInjectorConfig(await readOrRefuse(values.config), packageVersion(host.root));
  if ("problems" in reading) {
    throw new RenderError(reading.problems.map((each) => `${values.config}: ${each}`).join("\n  "));
  }
  const { config } = reading;
  return values.as === "policy" ? policy(config, values) : manifest(config, values, host);
}

function policy(config: InjectorConfig, values: Values<typeof FLAGS>): string {
  const { injection, namespace, excludedNamespaces } = config;
  const profile = injection.profiles.get(values.profile);
  if (profile === undefined) throw new RenderError(noProfile(injection.profiles, values.profile));
  if (profile.mode !== "native") {
    throw new RenderError(
      `--profile: found ${values.profile}, which is ${profile.mode}; allowed: a native one`,
    );
  }
  const excluded = [...new Set([...values.exclude, ...excludedNamespaces, namespace])];
  const options = { profileName: values.profile, profile, config: injection, excluded };
  return writeManifests(policiesOf(options));
}

const noProfile = (profiles: ReadonlyMap<string, unknown>, name: string): string =>
  `--profile: found ${JSON.stringify(name)}; allowed: ${allowedWords(name, [...profiles.keys()])}`;

async function manifest(
  { injection }: InjectorConfig,
  values: Values<typeof FLAGS>,
  host: Host,
): Promise<string> {
  const source = values.pod === undefined ? EXAMPLE : await readOrRefuse(values.pod);
  const profile = injection.profiles.get(values.profile);
  if (profile === undefined) throw new RenderError(noProfile(injection.profiles, values.profile));
  // Pods that name none take the one that was asked for.
  const config = { ...injection, profiles: new Map([...injection.profiles, ["default", profile]]) };
  const labels = new Map([[LABEL.injection as string, "enabled"]]);
  if (values.tenant !== undefined) labels.set(LABEL.tenant, values.tenant);
  let objects: readonly Json[];
  try {
    objects = readManifests(source);
  } catch (error) {
    throw new RenderError(error instanceof Error ? error.message : String(error), { cause: error });
  }

  const injected = objects.map((object): Json => {
    const place = podPlaceOf(object);
    if (place === undefined) return object;
    const pod = readPod(at(object, place.path));
    const called = `${textAt(object, ["kind"])} ${textAt(object, ["metadata", "name"])}`;
    const name = namespaceOf(object, values.namespace, called);
    const namespace: Namespace = { name, labels, annotations: undefined };
    const ruling = rule({ ...pod, owner: place.owner }, namespace, config);
    if (ruling.kind === "refused") {
      throw new RenderError(ruling.problems.map((each) => `${called}: ${each}`).join("\n  "));
    }
    if (ruling.kind !== "injected") {
      const why = ruling.kind === "skipped" ? ruling.message : `it says ${LABEL.inject}: "false"`;
      host.stderr.write(`imprest inject render: ${called} is left as it is: ${why}\n`);
      return object;
    }
    for (const warning of ruling.warnings) {
      host.stderr.write(`imprest inject render: ${called}: ${warning}\n`);
    }
    const prefix = place.path.map((key) => `/${key}`).join("");
    return withAdditions(
      object,
      ruling.patch.map((each) => ({ ...each, path: prefix + each.path })),
    );
  });
  return writeManifests(injected);
}

/** Where the object says that it belongs, or the flag: both must not say different things. */
function namespaceOf(object: Json, flag: string, called: string): string {
  const own = textAt(object, ["metadata", "namespace"]);
  if (own === "" || own === flag) return flag;
  if (flag === DEFAULT_NAMESPACE) return own;
  throw new RenderError(`${called}: found namespace ${own}; allowed: ${flag}, as --namespace says`);
}

export const injectRender: Command = defineCommand({
  name: "inject render",
  about: `Prints what the webhook would put into a pod, made by the same rules from the same configuration. A pod chooses by its labels and annotations (${ANNOTATION.profile}, ${ANNOTATION.containers}, …).`,
  flags: FLAGS,
  exits: { 0: "printed", 1: "a pod is refused, a file cannot be read", 2: "a configuration error" },
  examples: [
    {
      line: "imprest inject render --as manifest --config injector.yaml --pod deployment.yaml --namespace acme",
      says: "A Deployment with the sidecar in its template.",
    },
    {
      line: "imprest inject render --as policy --config injector.yaml | kubectl apply -f -",
      says: "Without a webhook: the API server puts the sidecar in by itself.",
    },
  ],
  async run(host, { values }) {
    try {
      host.stdout.write(await render(host, values));
      return 0;
    } catch (error) {
      const { ZodError } = await import("zod");
      if (!(error instanceof RenderError || error instanceof ZodError)) throw error;
      const why = error instanceof RenderError ? error.message : "a pod in it has no pod's shape";
      host.stderr.write(`imprest inject render: nothing was printed\n  ${why}\n`);
      return 1;
    }
  },
});
