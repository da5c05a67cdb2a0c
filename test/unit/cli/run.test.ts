import { describe, expect, it } from "vitest";
import { configure } from "../../../src/cli/configuration.ts";
import { COMMANDS } from "../../../src/cli/run.ts";
import { typeCommand } from "../../support/fake-host.ts";

const type = (line: string) => typeCommand(line === "" ? [] : line.split(" "));

/** The words of an example as a shell would hand them over, without variables and quotes. */
const wordsOf = (line: string): readonly string[] =>
  line
    .replace(/^.*\bimprest /, "")
    .replace(/[|)].*$/, "")
    .replaceAll("'", "")
    .trim()
    .split(/\s+/);

describe("the command", () => {
  it("prints its version", async () => {
    expect(await type("--version")).toEqual({ status: 0, stdout: "imprest 0.1.0\n", stderr: "" });
  });

  it.each(["--help", "-h", "help"])("lists its commands on %s", async (line) => {
    const { status, stdout, stderr } = await type(line);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    for (const { name, summary } of COMMANDS)
      expect(stdout).toMatch(new RegExp(`  ${name} +${summary.slice(0, 9)}`));
  });

  it.each([
    ["", "found no command"],
    ["resreve", "(did you mean reserve?)"],
    ["--policy x", 'found "--policy"'],
    ["policy validat x", "(did you mean policy validate?)"],
    ["help nothing", 'found "nothing"'],
  ])("refuses %j with 2 and says what is allowed", async (line, says) => {
    const { status, stdout, stderr } = await type(line);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(says);
  });

  it.each(["why", "report"])("says that it does not have %s yet", async (name) => {
    const { status, stderr } = await type(`${name} show`);
    expect(status).toBe(2);
    expect(stderr).toContain(`this version does not have "${name}" yet`);
  });

  it("reports every configuration error and starts nothing", async () => {
    const { status, stdout, stderr } = await type("reserve --timeout x --amount y --jsn");
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr.split("\n")).toEqual([
      "imprest reserve: 3 configuration errors",
      "  --jsn: found an unknown flag; allowed: --json",
      '  --amount: found "y"; allowed: METER=UNITS, such as tokens=1500',
      '  --timeout: found "x"; allowed: a duration from 1ms to 1h, such as 250ms, 1.5s or 2m',
      "  imprest reserve --help tells more",
      "",
    ]);
  });

  it("gives help rather than errors where it is asked for help", async () => {
    const { status, stderr } = await type("reserve --timeout x --help");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });

  it("sends no key beyond this machine in the clear", async () => {
    const { status, stderr } = await type("check --address 10.0.0.1:4600 --api-key-file /k");
    expect(status).toBe(2);
    expect(stderr).toContain("this version does not have TLS yet");
  });
});

describe.each(COMMANDS.map((entry) => [entry.name, entry] as const))(
  "imprest %s",
  (name, entry) => {
    it("has help that names usage, every flag, examples and exit statuses, within 100 columns", async () => {
      const command = await entry.load();
      const { status, stdout } = await type(`${name} --help`);
      expect(status).toBe(0);
      expect(await type(`help ${name}`)).toMatchObject({ status: 0, stdout });
      expect(stdout).toContain(`Usage: imprest ${name}`);
      for (const flag of Object.keys(command.flags)) expect(stdout).toContain(`--${flag}`);
      expect(command.examples.length).toBeGreaterThan(0);
      for (const { line } of command.examples) expect(stdout).toContain(`  ${line}\n`);
      for (const exit of Object.keys(command.exits)) expect(stdout).toContain(`\n  ${exit}  `);
      expect(stdout.split("\n").filter((line) => line.length > 110)).toEqual([]);
      expect(command.name).toBe(name);
    });

    it("has examples that it would take", async () => {
      const command = await entry.load();
      for (const { line } of command.examples.filter(({ line }) => line.includes("imprest "))) {
        const variables = [...line.replace(/\bimprest .*/, "").matchAll(/(IMPREST_\w+)=(\S+)/g)];
        const env = Object.fromEntries(variables.map(([, key = "", value = ""]) => [key, value]));
        const words = wordsOf(line).slice(name.split(" ").length);
        const found = configure(command.flags, command.positionals, words, env);
        expect([...found.problems, ...command.check({ ...found, env })]).toEqual([]);
      }
    });
  },
);
