/** The cluster that `npm run e2e` starts, as its tests see it: kubectl, namespaces of their own, and what pods are asked. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestContext } from "vitest";
import type { LedgerEntry } from "../../src/cli/ledger-view.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { ROOT } from "../support/sources.ts";
import type { Manifest, Pod } from "./pods.ts";

/** Why nothing of this can be tested here; undefined: a cluster is up, and this process is inside of it. */
export const noCluster: string | undefined =
  process.env["E2E_UP"] === "yes"
    ? undefined
    : (process.env["E2E_MISSING"] ?? "no cluster is up: npm run e2e starts one");

/** For `beforeEach`. */
export function needsCluster(context: TestContext): void {
  if (noCluster !== undefined) context.skip(noCluster);
}

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  /** Where the API server's warnings are, too. */
  readonly stderr: string;
}

/** What it prints, however it ends. */
export async function run(words: readonly string[], input = ""): Promise<Ran> {
  const [program = "", ...args] = words;
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  const printed = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (printed.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (printed.stderr += text));
  child.stdin.end(input);
  const [status] = (await once(child, "close")) as [number | null];
  return { status, ...printed };
}

/** Rejects with what it said on standard error, unless it exits with 0. */
export async function succeed(words: readonly string[], input = ""): Promise<string> {
  const { status, stdout, stderr } = await run(words, input);
  if (status !== 0) throw new Error(`${words.join(" ")}: ${stderr}${stdout}`);
  return stdout;
}

export const kubectl = (...words: readonly string[]): Promise<string> =>
  succeed(["kubectl", ...words]);

const PATIENCE_MS = 90_000;
const EVERY_MS = 200;

/** What `look` finds, as soon as it is something; rejects with `what` after a minute and a half. */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
): Promise<T> {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(EVERY_MS)) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
  }
  throw new Error(`waited in vain for ${what}`);
}

export interface Namespace {
  readonly name: string;
  /** Creates or changes objects in it. Resolves with the API server's answer, a refusal too. */
  apply(...objects: readonly Manifest[]): Promise<Ran>;
  /** The same; rejects with a refusal. */
  mustApply(...objects: readonly Manifest[]): Promise<void>;
  kubectl(...words: readonly string[]): Promise<string>;
  pod(name: string): Promise<Pod>;
  pods(selector: string): Promise<readonly Pod[]>;
  /** The pod, once all its containers are ready; rejects with what the kubelet says of it where it does not become so. */
  ready(name: string): Promise<Pod>;
  /** The JSON lines of a container, oldest first. */
  said(pod: string, container: string): Promise<readonly Said[]>;
  /** Resolves when it is gone, and all its containers with it. */
  remove(pod: string): Promise<void>;
  /** Resolves when it and its pods are gone. */
  close(): Promise<void>;
}

/** A line of the agent (`at`, `what`) or of the sidecar (`time`, `msg`). */
export interface Said {
  readonly at: number;
  readonly what: string;
  readonly [field: string]: unknown;
}

export function linesOf(text: string): Said[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => {
      const said = JSON.parse(line);
      return { ...said, at: said.at ?? Date.parse(said.time), what: said.what ?? said.msg };
    });
}

export interface NamespaceOptions {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** So that what an earlier run left, in a cluster that stayed up, is not in the way. */
const RUN = Date.now().toString(36);
let namespaces = 0;

/**
 * A fresh one whose name begins with `of`; restricted unless its labels say otherwise: what runs in the tests runs in the
 * strictest namespaces.
 */
export async function openNamespace(
  of: string,
  { labels, annotations = {} }: NamespaceOptions = {},
): Promise<Namespace> {
  const name = `${of}-${RUN}-${(namespaces += 1)}`;
  const restricted = { "pod-security.kubernetes.io/enforce": "restricted" };
  const metadata = { name, labels: { ...restricted, ...labels }, annotations };
  await succeed(
    ["kubectl", "apply", "-f", "-"],
    JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata }),
  );
  const within = (...words: readonly string[]): Promise<string> => kubectl("-n", name, ...words);
  const apply = (...items: readonly Manifest[]): Promise<Ran> =>
    run(
      ["kubectl", "-n", name, "apply", "--validate=strict", "-f", "-"],
      JSON.stringify({ apiVersion: "v1", kind: "List", items }),
    );
  const pod = async (pod: string): Promise<Pod> =>
    JSON.parse(await within("get", "pod", pod, "-o", "json"));
  await waitFor("the default service account", async () => {
    return (await run(["kubectl", "-n", name, "get", "serviceaccount", "default"])).status === 0;
  });
  return {
    name,
    apply,
    async mustApply(...objects) {
      const { status, stderr } = await apply(...objects);
      if (status !== 0) throw new Error(stderr);
    },
    kubectl: within,
    pod,
    async pods(selector) {
      return JSON.parse(await within("get", "pods", "-l", selector, "-o", "json")).items;
    },
    async ready(pod) {
      const waiting = await run(
        `kubectl -n ${name} wait --for=condition=Ready pod/${pod} --timeout=90s`.split(" "),
      );
      if (waiting.status === 0) return JSON.parse(await within("get", "pod", pod, "-o", "json"));
      throw new Error(`${waiting.stderr}${await within("describe", "pod", pod)}`);
    },
    async said(pod, container) {
      return linesOf(await within("logs", pod, "-c", container));
    },
    async remove(pod) {
      await within("delete", "pod", pod, "--wait=true", "--timeout=60s");
    },
    async close() {
      await kubectl("delete", "namespace", name, "--timeout=90s");
    },
  };
}

/** Makes an agent call its sidecar, with a request as proto3 JSON; resolves with the response, or with what went wrong. */
export async function ask(pod: Pod, rpc: string, request: object): Promise<Answer> {
  const body = JSON.stringify(request);
  const answer = await fetch(`http://${pod.status.podIP}:8080/${rpc}`, { method: "POST", body });
  return (await answer.json()) as Answer;
}

/** The same, again while nobody serves. */
export const askAgain = (pod: Pod, rpc: string, request: object): Promise<Answer> =>
  waitFor("a sidecar that serves", async () => {
    const answer = await ask(pod, rpc, request);
    return answer.error !== "UNAVAILABLE" && answer;
  });

export interface Answer {
  readonly verdict?: { readonly decision: string; readonly denial?: { readonly reason: string } };
  readonly reservation_id?: string;
  readonly charged?: readonly { readonly meter: string; readonly units: string }[];
  readonly error?: string;
  readonly details?: string;
}

export interface Store extends RedisServer {
  /** What `imprest ledger show` says of a tenant. */
  ledgers(tenant: string): Promise<readonly LedgerEntry[]>;
}

/** What the command prints: the very bundle that is in the image. */
export const imprest = (words: readonly string[]): Promise<string> =>
  succeed([process.execPath, path.join(ROOT, "dist/main.js"), ...words]);

/** This machine as pods see it; nobody else's Redis is in the cluster's network. */
export const STORE_HOST = "10.89.0.1";
const STORE_PORT = 6379;
export const STORE_URL = `redis://${STORE_HOST}:${STORE_PORT}`;

/** A Redis on this machine that pods reach by {@link STORE_URL}: one at a time. `more`: words on its command line. */
export async function startStore(more: readonly string[] = []): Promise<Store> {
  const args = ["--bind", "127.0.0.1", STORE_HOST, "--protected-mode", "no", ...more];
  const redis = await startRedis({ args, port: STORE_PORT });
  return Object.assign(redis, {
    async ledgers(tenant: string) {
      const words = ["ledger", "show", "--store", STORE_URL, "--tenant", tenant, "--json"];
      return JSON.parse(await imprest(words)).ledgers;
    },
  });
}
