import { hostname } from "node:os";
import { describe, expect, it } from "vitest";
import { configure } from "../../../src/cli/configuration.ts";
import { variableOf } from "../../../src/cli/flag.ts";
import { sidecar, sidecarConfig, type SidecarValues } from "../../../src/cli/sidecar.ts";
import { SIDECAR_DEFAULTS } from "../../../src/compose/sidecar-config.ts";
import { createFakeHost } from "../../support/fake-host.ts";

type Env = Readonly<Record<string, string>>;

function read(argv: readonly string[], env: Env = {}) {
  const found = configure(sidecar.flags, [], argv, env);
  const problems = [...found.problems, ...sidecar.check({ ...found, env })];
  return problems.map(({ where, found: what, allowed }) => `${where}: ${what} | ${allowed}`);
}

function configOf(argv: readonly string[], env: Env = {}) {
  expect(read(argv, env)).toEqual([]);
  const { values } = configure(sidecar.flags, [], argv, env);
  return sidecarConfig(values as SidecarValues, createFakeHost([], { env }));
}

const EVERY_FLAG: readonly (readonly [string, string, object])[] = [
  ["policy", "q.yaml", { policy: "q.yaml" }],
  [
    "listen",
    "unix:/tmp/s,[::1]:0",
    {
      listen: [
        { kind: "unix", path: "/tmp/s" },
        { kind: "tcp", host: "::1", port: 0 },
      ],
    },
  ],
  ["socket-mode", "0660", { socketMode: 0o660 }],
  ["socket-mode", "0o600", { socketMode: 0o600 }],
  ["socket-group", "agents", { socketGroup: "agents" }],
  ["health", "127.0.0.1:0", { health: { kind: "tcp", host: "127.0.0.1", port: 0 } }],
  ["http", "10.0.0.1:80", { http: { kind: "tcp", host: "10.0.0.1", port: 80 } }],
  ["store", "memory:", { store: { kind: "memory" } }],
  [
    "store",
    "rediss://app:pw@h:7/2",
    {
      store: {
        kind: "redis",
        url: { kind: "single", hosts: [{ host: "h", port: 7 }], username: "app", database: 2 },
        passwordFile: "",
        confirm: "auto",
        fencing: "replid",
      },
    },
  ],
  ["store-password-file", "/run/pw", {}],
  ["store-fencing", "none", {}],
  ["confirm", "strict", {}],
  ["wait", "1.5s", { waitMs: 1_500 }],
  ["journal", "/var/lib/imprest", { journal: "/var/lib/imprest" }],
  ["journal-sync", "250ms", { journalSyncMs: 250 }],
  ["tenant", "acme", { tenant: "acme" }],
  ["auth", "none", {}],
  ["holder", "pod-7", { holder: "pod-7" }],
  ["drain-timeout", "3s", { drainTimeoutMs: 3_000 }],
  ["idempotency-keys", "5000", { idempotencyKeys: 5_000 }],
  ["metrics-tenants", "acme,globex", { metricsTenants: ["acme", "globex"] }],
  ["metrics-tenants", "none", { metricsTenants: [] }],
  ["records", "none", {}],
  ["log-level", "warn", { logLevel: "warn" }],
];

describe("imprest sidecar", () => {
  it("has the defaults of the composition where nothing is said but the policy", () => {
    expect(configOf(["--policy", "p.yaml"])).toEqual({
      ...SIDECAR_DEFAULTS,
      policy: "p.yaml",
      holder: hostname(),
      version: "0.1.0",
    });
  });

  it.each(EVERY_FLAG)("takes --%s %s, and its variable", (name, text, expected) => {
    expect(configOf(["--policy", "p", `--${name}`, text])).toMatchObject(expected);
    expect(configOf([], { IMPREST_POLICY: "p", [variableOf(name)]: text })).toMatchObject(expected);
  });

  it("is tested with every flag that it has", () => {
    const tested = new Set(EVERY_FLAG.map(([name]) => name));
    const built = Object.entries(sidecar.flags).filter(([, flag]) => !flag.pending);
    expect(built.map(([name]) => name).filter((name) => !tested.has(name))).toEqual([]);
  });

  it("takes the pod's name as its label where there is one", () => {
    expect(configOf(["--policy", "p"], { POD_NAME: "agent-0" }).holder).toBe("agent-0");
  });

  it.each([
    ["jwt-issuer", "https://i"],
    ["jwt-audience", "a"],
    ["jwt-jwks", "/k"],
    ["jwt-tenant-claim", "t"],
    ["tls-cert", "/c"],
    ["tls-key", "/k"],
    ["tls-client-ca", "/c"],
  ])("says that it does not have --%s yet, as a flag or as a variable", (name, text) => {
    const says = "nothing: this version does not have it yet";
    expect(read(["--policy", "p", `--${name}`, text])).toEqual([`--${name}: "${text}" | ${says}`]);
    const variable = variableOf(name);
    expect(read(["--policy", "p"], { [variable]: text })).toEqual([
      `--${name} (from ${variable}): "${text}" | ${says}`,
    ]);
  });

  it("says that it does not have --allow-plaintext yet", () => {
    expect(read(["--policy", "p", "--allow-plaintext"])).toHaveLength(1);
  });

  it.each([
    ["--auth", "api-key", "api-key | none: this version does not have api-key yet"],
    ["--auth", "jwt", "jwt | none: this version does not have jwt yet"],
    ["--records", "file:/r", "file: | none: this version does not have file: yet"],
    [
      "--store",
      "postgres://h",
      "something else | memory:, redis://HOST:PORT, rediss://… (TLS), redis+sentinel://H1:P,H2:P/NAME, redis+cluster://H1:P,H2:P",
    ],
    ["--store-fencing", "replica", '"replica" | replid, none (did you mean replid?)'],
    ["--confirm", "always", '"always" | auto, strict, off'],
  ])("refuses %s %s", (flag, text, says) => {
    expect(read(["--policy", "p", flag, text])).toEqual([`${flag}: ${says}`]);
  });

  it("keeps the store's password file, its fencing and how grants are confirmed", () => {
    const flags = "--store-password-file /pw --store-fencing none --confirm off".split(" ");
    expect(
      configOf(["--policy", "p", "--store", "redis+cluster://h", ...flags]).store,
    ).toMatchObject({ passwordFile: "/pw", fencing: "none", confirm: "off" });
  });

  it("takes the store's password from one place", () => {
    const flags = ["--store", "redis://:hunter2@h", "--store-password-file", "/pw"];
    expect(read(["--policy", "p", ...flags])).toEqual([
      "--store, --store-password-file: a password in both | in one of them",
    ]);
  });

  it("never repeats a store's password", () => {
    for (const url of ["redis://:hunter2@h:66666", "hunter2://x", "redis+odd://:hunter2@h"]) {
      expect(read(["--policy", "p", "--store", url]).join()).not.toContain("hunter2");
    }
  });

  it.each(["0.0.0.0:4600", "[::]:4600", "10.1.2.3:4600", "agent.example.com:4600"])(
    "does not listen on %s without asking who calls",
    (address) => {
      expect(read(["--policy", "p", "--listen", `unix:/s,${address}`])).toEqual([
        `--listen: ${address} with --auth none | unix:PATH and loopback (127.0.0.1, [::1], localhost), as long as nobody is asked who they are`,
      ]);
    },
  );

  it("refuses one address for two listeners", () => {
    const argv = ["--policy", "p", "--listen", "127.0.0.1:4600", "--health", "127.0.0.1:4600"];
    expect(read(argv)).toEqual(["--listen, --health, --http: 127.0.0.1:4600 twice | each once"]);
  });

  it("tells each part of a list that is wrong, and what is wrong with those that can be read", () => {
    const argv = [
      "--listen",
      "foo,unix:,0.0.0.0:1,127.0.0.1:99999",
      "--metrics-tenants",
      "a b,c/d",
    ];
    const told = read(["--policy", "p", ...argv]).map((line) => line.split(" | ")[0]);
    expect(told).toEqual([
      '--listen: "foo"',
      '--listen: "unix:"',
      '--listen: "127.0.0.1:99999"',
      '--metrics-tenants: "a b"',
      '--metrics-tenants: "c/d"',
      "--listen: 0.0.0.0:1 with --auth none",
    ]);
  });

  it("has to be told its store inside Kubernetes, memory: included", () => {
    const pod = { KUBERNETES_SERVICE_HOST: "10.96.0.1" };
    expect(read(["--policy", "p"], pod)).toEqual([
      "--store (or IMPREST_STORE): nothing, inside Kubernetes | redis://HOST:PORT, or memory:, said out loud: each replica then has every limit for itself",
    ]);
    expect(read(["--policy", "p", "--store", "memory:"], pod)).toEqual([]);
    expect(read(["--policy", "p"], { ...pod, IMPREST_STORE: "memory:" })).toEqual([]);
  });

  it("tells everything that is wrong at once, what no single flag can tell included", () => {
    const argv = [
      "--listen",
      "0.0.0.0:1",
      "--wait",
      "soon",
      "--socket-mode",
      "888",
      "--auht",
      "none",
    ];
    const told = read(argv, { KUBERNETES_SERVICE_HOST: "h", IMPREST_HTTP: "nowhere" });
    expect(told.map((line) => line.split(":")[0])).toEqual([
      "--auht",
      "--policy (or IMPREST_POLICY)",
      "--socket-mode",
      "--http (from IMPREST_HTTP)",
      "--wait",
      "--listen",
      "--store (or IMPREST_STORE)",
    ]);
  });
});
