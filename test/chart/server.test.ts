/**
 * The chart on a real API server, without nodes: what it accepts, what the backstop refuses, who owns which field
 * after an upgrade, and what the doctor makes of it. The injector's part of the work is done by hand here.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { rootCertificates } from "node:tls";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { typeCommand } from "../support/fake-host.ts";
import { read, ROOT } from "../support/sources.ts";
import { CHART, HELMS, NAMESPACE, noHelm } from "./helm.ts";

const KUBECONFIG = process.env["CHART_KUBECONFIG"] ?? "";
const noServer =
  KUBECONFIG === ""
    ? "no API server: npm run chart starts one where npm run e2e has built it"
    : noHelm;

const [helm = ""] = HELMS;
const env = { ...process.env, KUBECONFIG };
const run = promisify(execFile);
const MINIMAL = `${CHART}/ci/minimal.yaml`;
const configurationOf = (release: string): string =>
  `mutatingwebhookconfiguration/${release}-injector`;
const CONFIGURATION = configurationOf("imprest");

async function kubectl(words: readonly string[], input?: unknown): Promise<string> {
  const running = run("kubectl", words, { env });
  running.child.stdin?.end(input === undefined ? "" : JSON.stringify(input));
  return (await running).stdout;
}

const helmCall = async (...words: readonly string[]): Promise<string> =>
  (await run(helm, [...words, "-n", NAMESPACE], { env })).stdout;
const upgrade = (...sets: readonly string[]) =>
  helmCall("upgrade", "imprest", CHART, "-f", MINIMAL, ...sets.flatMap((set) => ["--set", set]));

const CA = Buffer.from(rootCertificates[0] ?? "").toString("base64");
const AS_INJECTOR = "--field-manager=imprest-injector";
/** As the injector does, in its name. */
const trust = (configuration: string) =>
  kubectl([
    ...["patch", configuration, "--type=json", AS_INJECTOR, "-p"],
    JSON.stringify(
      [0, 1].map((at) => ({
        op: "add",
        path: `/webhooks/${at}/clientConfig/caBundle`,
        value: CA,
      })),
    ),
  ]);

beforeEach(({ skip }) => skip(noServer !== undefined, noServer));
beforeAll(async () => {
  if (noServer !== undefined) return;
  const namespaces = [
    { name: NAMESPACE, labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
    { name: "chart-asks", labels: { "imprest.dev/injection": "enabled" } },
    { name: "chart-silent", labels: {} },
  ];
  for (const metadata of namespaces) {
    await kubectl(["apply", "-f", "-"], { apiVersion: "v1", kind: "Namespace", metadata });
    const account = { name: "default", namespace: metadata.name };
    await kubectl(["apply", "-f", "-"], {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: account,
    });
  }
  await helmCall("upgrade", "--install", "imprest", CHART, "-f", MINIMAL);
});
afterAll(async () => {
  if (noServer === undefined) await helmCall("uninstall", "imprest");
});

/** Strictly: what the API server does not know is refused. Each line says what it would have made. */
async function tryAll(...sets: readonly string[]): Promise<readonly string[]> {
  const words = ["template", "other", CHART, "-n", "chart-silent", "-f", `${CHART}/ci/full.yaml`];
  const { stdout } = await run(
    helm,
    [...words, "--kube-version", "1.36.3"].concat(sets.flatMap((set) => ["--set", set])),
    { env },
  );
  const applying = run("kubectl", ["apply", "--dry-run=server", "--validate=strict", "-f", "-"], {
    env,
  });
  applying.child.stdin?.end(stdout);
  return (await applying).stdout.trim().split("\n");
}
/** A trial makes no account that a pod could name. */
const TRIAL = ["policy.namespaces={chart-asks}", "test.enabled=false"];
const isTried = (line: string): boolean => line.endsWith(" created (server dry run)");

test("every object of the full chart is what the API server knows, to the letter", async () => {
  const lines = await tryAll(
    ...TRIAL,
    ...["podMonitor", "serviceMonitor", "prometheusRule"].map(
      (kind) => `monitoring.${kind}.enabled=false`,
    ),
  );
  expect(lines.length).toBeGreaterThanOrEqual(19);
  expect(lines.filter((line) => !isTried(line))).toEqual([]);
});

test("monitors and rules are what the Prometheus operator knows", async ({ skip }) => {
  const crds = process.env["CHART_CRDS"] ?? "";
  skip(crds === "", "no go to fetch the operator's kinds with");
  for (const kind of ["podmonitors", "servicemonitors", "prometheusrules"]) {
    await kubectl(["apply", "--server-side", "-f", `${crds}/monitoring.coreos.com_${kind}.yaml`]);
    const name = `customresourcedefinition/${kind}.monitoring.coreos.com`;
    await kubectl(["wait", "--for=condition=Established", "--timeout=30s", name]);
  }
  const lines = (await tryAll(...TRIAL)).filter((line) => line.includes("monitoring.coreos.com"));
  expect(lines.filter(isTried)).toHaveLength(4);
});

test.each(HELMS.map((each, at) => [each, `imprest-kept-${at}`]))(
  "what the injector wrote stays through upgrades and a rollback, without a conflict: %s",
  async (each, release) => {
    const call = async (...words: readonly string[]): Promise<void> => {
      await run(each, [...words, "-n", NAMESPACE], { env });
    };
    const apply = (command: string, seconds: number): Promise<void> => {
      const set = `injector.timeoutSeconds=${seconds}`;
      return call(command, release, CHART, "-f", MINIMAL, "--set", set);
    };
    await apply("install", 6);
    await trust(configurationOf(release));
    const secret = `${release}-injector-tls`;
    const data = JSON.stringify({ data: { "tls.crt": CA } });
    await kubectl([
      ...["-n", NAMESPACE, "patch", "secret", secret, "--type=merge", AS_INJECTOR, "-p", data],
    ]);
    await apply("upgrade", 7);
    await apply("upgrade", 8);
    await call("rollback", release, "1");
    const webhooks = await kubectl([
      ...["get", configurationOf(release), "-o"],
      "jsonpath={range .webhooks[*]}{.timeoutSeconds} {.clientConfig.caBundle} {end}",
    ]);
    expect(webhooks.trim()).toBe(`6 ${CA} 6 ${CA}`);
    expect(
      await kubectl(["-n", NAMESPACE, "get", "secret", secret, "-o", "jsonpath={.data}"]),
    ).toContain("tls.crt");
    await call("uninstall", release);
  },
);

test("the injector's account may do what it has to, and nothing else", async () => {
  const as = `--as=system:serviceaccount:${NAMESPACE}:imprest-injector`;
  const may = async (...words: readonly string[]): Promise<string> =>
    kubectl(["auth", "can-i", ...words, as]).then(
      (said) => said.trim(),
      () => "no",
    );
  expect(await may("patch", CONFIGURATION)).toBe("yes");
  expect(await may("watch", "namespaces")).toBe("yes");
  expect(await may("update", "secret/imprest-injector-tls", "-n", NAMESPACE)).toBe("yes");
  expect(await may("create", "leases", "-n", NAMESPACE)).toBe("yes");
  expect(await may("patch", "mutatingwebhookconfiguration/other")).toBe("no");
  expect(await may("list", "pods", "-A")).toBe("no");
  expect(await may("get", "secret/other", "-n", NAMESPACE)).toBe("no");
  expect(await may("get", "secret/imprest-injector-tls", "-n", "chart-asks")).toBe("no");
  expect(await may("update", "namespaces")).toBe("no");
});

describe("the backstop, while no injector answers and failurePolicy lets pods through", () => {
  beforeAll(async () => {
    if (noServer === undefined) await upgrade("injector.failurePolicy=Ignore");
  });

  const sidecar = { name: "imprest-sidecar", image: "imprest", restartPolicy: "Always" };
  const podOf = (labels: object, spec: object = {}) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { generateName: "chart-", labels },
    spec: { containers: [{ name: "app", image: "app" }], ...spec },
  });
  const create = (namespace: string, pod: object): Promise<string> =>
    kubectl(["-n", namespace, "create", "--dry-run=server", "-f", "-"], pod);

  test.each([
    ["in a namespace that asks", "chart-asks", podOf({})],
    ["that asks itself", "chart-silent", podOf({ "imprest.dev/inject": "true" })],
    ["that asks with a typo", "chart-silent", podOf({ "imprest.dev/inject": "True" })],
    [
      "with an init container of that name that ends",
      "chart-asks",
      podOf({}, { initContainers: [{ name: "imprest-sidecar", image: "x" }] }),
    ],
  ])("refuses a bare pod %s", async (_, namespace, pod) => {
    await expect(create(namespace, pod)).rejects.toThrow(/for a sidecar and has none/);
  });

  test.each([
    ["that did not ask", "chart-silent", podOf({})],
    ["that said no", "chart-asks", podOf({ "imprest.dev/inject": "false" })],
    ["with its sidecar", "chart-asks", podOf({}, { initContainers: [sidecar] })],
    [
      "with a classic one",
      "chart-asks",
      podOf({}, { containers: [{ name: "imprest-sidecar", image: "x" }] }),
    ],
    ["on its node's network", "chart-asks", podOf({}, { hostNetwork: true })],
    ["for Windows", "chart-asks", podOf({}, { os: { name: "windows" } })],
    [
      "for Windows by its node",
      "chart-asks",
      podOf({}, { nodeSelector: { "kubernetes.io/os": "windows" } }),
    ],
  ])("lets a pod through %s", async (_, namespace, pod) => {
    await expect(create(namespace, pod)).resolves.toContain("created (server dry run)");
  });

  test("its expressions are well typed", async () => {
    const status = await kubectl([
      ...["get", "validatingadmissionpolicy", "imprest-backstop"],
      ...["-o", "jsonpath={.status.typeChecking.expressionWarnings}"],
    ]);
    expect(status).toBe("");
  });
});

describe("the doctor", () => {
  const examine = async (...words: readonly string[]) => {
    const { status, stdout } = await typeCommand([
      ...["doctor", "--kubeconfig", KUBECONFIG, "--json", ...words],
    ]);
    const { findings } = JSON.parse(stdout) as {
      readonly findings: readonly {
        readonly severity: string;
        readonly about: string;
        readonly text: string;
      }[];
    };
    return {
      status,
      of: (about: string) =>
        findings.filter((one) => one.about === about).map(({ severity, text }) => [severity, text]),
    };
  };

  test("finds that no injector is ready, and that a pod would not start", async () => {
    await trust(CONFIGURATION);
    await upgrade("injector.failurePolicy=Fail");
    const { status, of } = await examine();
    expect(status).toBe(1);
    expect(of("cluster")[0]?.[0]).toBe("ok");
    expect(of("clock")).toEqual([["ok", "the API server and this machine agree"]]);
    expect(of("injector")[0]?.[0]).toBe("problem");
    expect(of("webhook")).toEqual([["ok", "its caBundle holds valid certificates"]]);
    expect(of("trial")[0]?.[0]).toBe("problem");
    expect(of("trial")[0]?.[1]).toContain("failed calling webhook");
  });

  test("finds a caBundle that somebody took away", async () => {
    await kubectl([
      ...["patch", CONFIGURATION, "--type=json", "-p"],
      JSON.stringify([{ op: "remove", path: "/webhooks/0/clientConfig/caBundle" }]),
    ]);
    const { of } = await examine();
    expect(of("webhook")[0]?.[0]).toBe("problem");
    expect(of("webhook")[0]?.[1]).toContain("namespace.injector.imprest.dev: it has no caBundle");
  });

  test("finds a pod that was there before the label", async () => {
    const pod = { name: "early", namespace: "chart-silent" };
    const spec = { containers: [{ name: "app", image: "app" }] };
    await kubectl(["create", "-f", "-"], { apiVersion: "v1", kind: "Pod", metadata: pod, spec });
    const label = ["label", "namespace", "chart-silent", "--overwrite"];
    await kubectl([...label, "imprest.dev/injection=enabled"]);
    const { of } = await examine("--namespace", "chart-silent");
    await kubectl([...label, "imprest.dev/injection-"]);
    await kubectl(["-n", "chart-silent", "delete", "pod", "early", "--grace-period=0", "--force"]);
    expect(of("pods")).toEqual([
      ["problem", "1 opted in and without a sidecar: chart-silent/early"],
    ]);
  });

  test("finds nobody where there is no such webhook", async () => {
    const { of } = await examine("--injector", "elsewhere/nobody");
    expect(of("webhook")[0]?.[0]).toBe("problem");
    expect(of("webhook")[0]?.[1]).toContain("no pod gets a sidecar");
  });
});

test("the guide's way to injector.yaml leads to what `inject render` takes", async () => {
  const guide = read("deploy/guides/kubernetes.md");
  const [line = ""] = guide.match(/^helm template .* > injector\.yaml$/m) ?? [];
  const folder = await mkdtemp(path.join(tmpdir(), "imprest-guide-"));
  const [values, config] = ["values.yaml", "injector.yaml"].map((name) => path.join(folder, name));
  await writeFile(
    values ?? "",
    read("deploy/helm/imprest/ci/full.yaml").replace("injector:", "injector:\n  enabled: false"),
  );
  const ours = line
    .replace("helm", helm)
    .replace("values.yaml", values ?? "")
    .replace("> injector.yaml", `> ${config ?? ""}`);
  await run("bash", ["-c", ours], { env, cwd: ROOT });
  const words = ["--as", "policy", "--config", config ?? ""];
  const { status, stdout } = await typeCommand(["inject", "render", ...words]);
  expect(status).toBe(0);
  expect(stdout).toContain("cert-manager");
  expect(stdout).toContain("kind: MutatingAdmissionPolicy");
  await rm(folder, { recursive: true });
});

test("the guide's install is a call that helm takes", async () => {
  const [line = ""] = read("deploy/guides/kubernetes.md").match(/^helm install .*$/m) ?? [];
  const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word);
  const [, , , ...rest] = words.map((word) => word ?? "");
  const done = await run(helm, ["install", "second", ...rest, "--dry-run=server"], { env });
  expect(done.stdout).toContain("Imprest 0.1.0 is in namespace imprest-system");
});
