/** The guide says what the program does: its table of flags is held against the program's own. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { configure } from "../../../src/cli/configuration.ts";
import { COMMANDS, run } from "../../../src/cli/run.ts";
import { sidecar } from "../../../src/cli/sidecar.ts";
import { createFakeHost } from "../../support/fake-host.ts";

const GUIDE = readFileSync(
  new URL("../../../deploy/guides/command-line.md", import.meta.url),
  "utf8",
);

it("the guide's table has every flag of the sidecar, with its default", () => {
  const rows = [...GUIDE.matchAll(/^\| `--([a-z-]+) ([^`]+)` \| ([^|]+) \|/gm)];
  const listed = rows.map(([, name, placeholder, fallback]) => [name, placeholder, fallback]);
  const built = Object.entries(sidecar.flags).filter(([, flag]) => !flag.pending);
  expect(listed.map(([name, placeholder]) => [name, placeholder])).toEqual(
    built.map(([name, flag]) => [name, flag.placeholder]),
  );
  const defaults = built.filter(([, flag]) => flag.fallback !== undefined);
  for (const [name, flag] of defaults) {
    expect(listed.find(([each]) => each === name)?.[2]).toBe(`\`${flag.fallback}\``);
  }
});

it("the guide's table has every command", () => {
  const named = new Set([...GUIDE.matchAll(/`(?:imprest )?([a-z ]+)`/g)].map(([, name]) => name));
  expect(COMMANDS.filter(({ name }) => !named.has(name))).toEqual([]);
});

it("the guide's error list is what the program prints", async () => {
  const [, variable = "", words = "", errors] =
    /\$ IMPREST_WAIT=(\S+) imprest (.*)\n([^`]*)```/.exec(GUIDE) ?? [];
  const host = createFakeHost(words.split(" "), { env: { IMPREST_WAIT: variable } });
  expect(await run(host)).toBe(2);
  expect(host.printed.stderr).toBe(errors);
});

it("the guide's calls are calls that the program takes", async () => {
  const lines = [...GUIDE.matchAll(/(?:^\$ |\$\(|if )imprest (.*?)(?: \||\)| >|$)/gm)];
  expect(lines.length).toBeGreaterThan(3);
  for (const [, line = ""] of lines) {
    const entry = COMMANDS.find(({ name }) => line.startsWith(`${name} `));
    const command = await entry?.load();
    expect(line).toContain(command?.name);
    const words = line.slice((command?.name.length ?? 0) + 1).split(" ");
    const found = configure(command?.flags ?? {}, [], words, {});
    expect(found.problems).toEqual([]);
  }
});
