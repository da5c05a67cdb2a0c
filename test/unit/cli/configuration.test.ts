import { describe, expect, it } from "vitest";
import { configure, type Configuration, type Problem } from "../../../src/cli/configuration.ts";
import { defaulted, many, optional, pending, required, toggle } from "../../../src/cli/flag.ts";
import { count, pair, text } from "../../../src/cli/reader.ts";

const FLAGS = {
  policy: required("FILE", "The policy.", text),
  keys: defaulted("N", "100", "How many.", count(1, 1_000)),
  tenant: optional("T", "Whose.", text),
  subject: many("K=V", "Levels.", pair("K=V")),
  json: toggle("As JSON."),
  journal: pending("DIR", "Later."),
  "on-the-rocks": pending("", "Later, without a value."),
  address: { ...optional("ADDRESS", "Where.", text), furtherVariable: "IMPREST_SOCKET" },
};

const read = (argv: readonly string[], env: Record<string, string> = {}): Configuration =>
  configure(FLAGS, [], ["--policy", "p.yaml", ...argv], env);

const told = (problems: readonly Problem[]): readonly string[] =>
  problems.map(({ where, found, allowed }) => `${where}: ${found} | ${allowed}`);

describe("flags and variables", () => {
  it("gives what was typed, the default of what was not, and nothing for what has none", () => {
    const { values, problems } = read(["--json", "--tenant=acme"]);
    expect(problems).toEqual([]);
    expect(values).toMatchObject({
      policy: "p.yaml",
      keys: 100,
      tenant: "acme",
      subject: [],
      json: true,
      address: undefined,
    });
  });

  it.each([
    ["policy", { IMPREST_POLICY: "env.yaml" }, "env.yaml"],
    ["keys", { IMPREST_KEYS: "7" }, 7],
    ["tenant", { IMPREST_TENANT: "acme" }, "acme"],
    [
      "subject",
      { IMPREST_SUBJECT: "run=r-7  user=ann" },
      [
        ["run", "r-7"],
        ["user", "ann"],
      ],
    ],
    ["json", { IMPREST_JSON: "true" }, true],
    ["json", { IMPREST_JSON: "0" }, false],
  ])("takes --%s from its variable", (name, env, value) => {
    const { values, problems } = configure(FLAGS, [], [], { IMPREST_POLICY: "p", ...env });
    expect(problems).toEqual([]);
    expect(values[name]).toEqual(value);
  });

  it("lets a flag beat its variable, even where the variable is wrong", () => {
    const { values, problems } = read(["--keys", "9", "--subject", "run=b"], {
      IMPREST_KEYS: "many",
      IMPREST_SUBJECT: "run=a user=c",
    });
    expect(problems).toEqual([]);
    expect(values).toMatchObject({ keys: 9, subject: [["run", "b"]] });
  });

  it("takes an empty variable as not said", () => {
    const { values, problems, given } = read([], { IMPREST_KEYS: "", IMPREST_TENANT: " " });
    expect(problems).toEqual([]);
    expect(values["keys"]).toBe(100);
    expect([...given]).toEqual(["policy"]);
  });

  it("reads the further variable of a flag after its own", () => {
    expect(read([], { IMPREST_SOCKET: "/s" }).values["address"]).toBe("/s");
    const both = { IMPREST_SOCKET: "/s", IMPREST_ADDRESS: "/a" };
    expect(read([], both).values["address"]).toBe("/a");
  });

  it("leaves variables alone that no flag has, as Kubernetes sets them for a Service", () => {
    const { problems } = read([], {
      IMPREST_PORT: "tcp://10.0.0.1:4600",
      IMPREST_SERVICE_HOST: "x",
    });
    expect(problems).toEqual([]);
  });

  it("lets several values follow a flag that repeats, and the flag be repeated", () => {
    const { values } = read(["--subject", "run=r", "user=u", "--json", "--subject", "app=a=b"]);
    expect(values["subject"]).toEqual([
      ["run", "r"],
      ["user", "u"],
      ["app", "a=b"],
    ]);
  });

  it("takes the last of a flag that does not repeat", () => {
    expect(read(["--tenant", "a", "--tenant", "b"]).values["tenant"]).toBe("b");
  });

  it.each([["--help"], ["-h"]])("sees %s anywhere", (word) => {
    expect(read(["--tenant", "a", word]).help).toBe(true);
  });
});

describe("configuration errors", () => {
  it("are told all at once, each with flag or variable, what was found and what is allowed", () => {
    const argv = [
      "--keys",
      "0",
      "--tennant",
      "x",
      "--journal",
      "/j",
      "--json=maybe",
      "--on-the-rocks",
    ];
    const { problems } = configure(FLAGS, [], argv, { IMPREST_SUBJECT: "run=a nothing" });
    expect(told(problems)).toEqual([
      "--tennant: an unknown flag | --tenant",
      "--policy (or IMPREST_POLICY): nothing | FILE, it has to be said",
      '--keys: "0" | a whole number from 1 to 1000',
      '--subject (from IMPREST_SUBJECT): "nothing" | K=V',
      '--json: "maybe" | true, false, 1 or 0',
      '--journal: "/j" | nothing: this version does not have it yet',
      '--on-the-rocks: "true" | nothing: this version does not have it yet',
    ]);
  });

  it("tell a flag without a value, and still read the flag that follows", () => {
    const { problems, values } = configure(
      FLAGS,
      [],
      ["--policy", "--tenant", "acme", "--keys"],
      {},
    );
    expect(told(problems)).toEqual(["--policy: no value | FILE", "--keys: no value | N"]);
    expect(values["tenant"]).toBe("acme");
  });

  it("tell a variable of what this version does not have", () => {
    expect(told(read([], { IMPREST_JOURNAL: "/j" }).problems)).toEqual([
      '--journal (from IMPREST_JOURNAL): "/j" | nothing: this version does not have it yet',
    ]);
  });

  it("tell too few and too many words", () => {
    const words = [{ name: "FILE", help: "a document" }];
    expect(told(configure({}, words, [], {}).problems)).toEqual(["FILE: nothing | a document"]);
    expect(told(configure({}, words, ["a", "b"], {}).problems)).toEqual(['arguments: "b" | FILE']);
    expect(told(configure({}, [], ["a"], {}).problems)).toEqual(['arguments: "a" | flags alone']);
  });

  it("cut what they repeat short", () => {
    const [problem] = read(["--keys", "9".repeat(500)]).problems;
    expect(problem?.found.length).toBeLessThan(100);
  });

  it("hold no special name: a flag called like an object's own property is unknown", () => {
    for (const name of ["__proto__", "constructor", "toString"]) {
      expect(told(read([`--${name}`]).problems)).toEqual([
        `--${name}: an unknown flag | the flags that --help lists`,
      ]);
    }
  });
});
