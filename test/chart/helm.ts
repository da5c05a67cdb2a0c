/** Helm, where this machine has one, and what it makes of the chart. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { loadAll } from "js-yaml";
import { ROOT } from "../support/sources.ts";

export const CHART = path.join(ROOT, "deploy/helm/imprest");
export const NAMESPACE = "imprest-system";

/** Helm 4 takes the newest Kubernetes that it knows for the cluster's. */
const KUBERNETES = "1.36.3";

const cache = process.env["E2E_CACHE"] ?? path.join(homedir(), ".cache/imprest-e2e");

/** HELM, what the end-to-end tests built, or the one on PATH. */
export const HELMS: readonly string[] = [
  ...new Set([
    process.env["HELM"] ?? "",
    path.join(cache, "bin/helm4"),
    path.join(cache, "bin/helm3"),
    ...(process.env["PATH"] ?? "").split(path.delimiter).map((folder) => path.join(folder, "helm")),
  ]),
].filter((file) => file !== "" && existsSync(file));

export const noHelm: string | undefined =
  HELMS.length === 0 ? "no helm here: say HELM=FILE, or npm run e2e builds one" : undefined;

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly [member: string]: unknown;
}

const run = promisify(execFile);

export interface Rendering {
  readonly objects: readonly KubernetesObject[];
  of(kind: string, name?: string): KubernetesObject;
}

/** Rejects with what helm says. `values`: YAML. */
export async function render(values: string, helm = HELMS[0] ?? ""): Promise<Rendering> {
  const { stdout } = await withValues(values, (file) =>
    run(helm, [
      "template",
      "imprest",
      CHART,
      "-n",
      NAMESPACE,
      "-f",
      file,
      "--kube-version",
      KUBERNETES,
    ]),
  );
  const documents = loadAll(stdout) as readonly (KubernetesObject | null | undefined)[];
  return reading(documents.filter((one) => one !== null && one !== undefined));
}

/** What it prints, warnings included. */
export async function lint(values: string, helm: string): Promise<string> {
  const words = ["--strict", "--kube-version", KUBERNETES];
  const { stdout } = await withValues(values, (file) =>
    run(helm, ["lint", CHART, "-f", file, ...words]),
  );
  return stdout;
}

async function withValues<T>(values: string, act: (file: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), "imprest-chart-"));
  const file = path.join(folder, "values.yaml");
  await writeFile(file, values);
  try {
    return await act(file);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function reading(objects: readonly KubernetesObject[]): Rendering {
  return {
    objects,
    of(kind, name) {
      const found = objects.filter(
        (one) => one.kind === kind && (name === undefined || one.metadata.name === name),
      );
      const [object] = found;
      if (object === undefined || found.length > 1) {
        throw new Error(`${found.length} objects of kind ${kind}`);
      }
      return object;
    },
  };
}
