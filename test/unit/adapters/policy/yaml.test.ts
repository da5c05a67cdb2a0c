import { describe, expect, test } from "vitest";
import { formatPath, type Node, type Problem } from "../../../../src/core/policy/node.ts";
import { composeYaml } from "../../../../src/adapters/policy/yaml.ts";

interface Read {
  readonly root: Node;
  readonly problems: readonly string[];
}

function read(text: string): Read {
  const problems: Problem[] = [];
  const composed = composeYaml(text, (problem) => problems.push(problem));
  if ("reason" in composed) throw new Error(composed.reason);
  const told = problems.map(({ path, found }) => `${formatPath(path)}: ${found}`);
  return { root: composed.root, problems: told };
}

const map = (...pairs: readonly (readonly [string, Node])[]): Node => new Map(pairs);

describe("values", () => {
  test("scalars of YAML 1.2: yes, 1_000 and dates are text, octal and hexadecimal are numbers", () => {
    expect(
      read("[yes, 1_000, 2026-01-01, 0x10, 0o17, 2.50, ~, null, true, '5', \"a\\nb\"]").root,
    ).toEqual(["yes", "1_000", "2026-01-01", 16, 15, 2.5, null, null, true, "5", "a\nb"]);
  });
  test("tags of the core schema are followed", () => {
    expect(read('[!!str 5, !!int "5", ! 5, !!float 5, !!bool "true", !!null ""]').root).toEqual([
      "5",
      5,
      "5",
      5,
      true,
      null,
    ]);
  });
  test("JSON, with a byte order mark and tabs", () => {
    expect(read('\uFEFF{\n\t"a": [1, "\\u00e9\\/"]\n}').root).toEqual(map(["a", [1, "é/"]]));
  });
});

describe("Y1: keys", () => {
  test("are text as it is written", () => {
    expect(read("007: a\nnull: b\ntrue: c\n1.0: d\n'q': e\n~: f").root).toEqual(
      map(["007", "a"], ["null", "b"], ["true", "c"], ["1.0", "d"], ["q", "e"], ["~", "f"]),
    );
  });
  test("are never special", () => {
    expect(read("__proto__: {constructor: 1}").root).toEqual(
      map(["__proto__", map(["constructor", 1])]),
    );
  });
  test("that stand twice are each told, and the first value holds", () => {
    const { root, problems } = read("a: 1\nb: {c: 1, c: 2, c: 3}\na: 2");
    expect(root).toEqual(map(["a", 1], ["b", map(["c", 1])]));
    expect(problems).toEqual([
      'b.c: the key "c" again',
      'b.c: the key "c" again',
      'a: the key "a" again',
    ]);
  });
});

describe("anchors and aliases", () => {
  test("stand for what they name, as values and as keys", () => {
    expect(read("a: &x [1]\nb: *x\n&k c: *k").root).toEqual(
      map(["a", [1]], ["b", [1]], ["c", "c"]),
    );
  });
  test("<< lays mappings under a mapping, the first of several on top", () => {
    const text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], a: 0}";
    expect(read(text).root).toEqual(
      map(
        ["x", map(["a", 1], ["b", 1])],
        ["y", map(["b", 2], ["c", 2])],
        ["z", map(["a", 0], ["b", 1], ["c", 2])],
      ),
    );
  });
  test("<< of what is no mapping is told", () => {
    expect(read("a: {<<: 5}").problems).toEqual(['a["<<"]: << with no mapping']);
  });
  test("Y2: what would multiply without end is refused, in no time", () => {
    const levels = Array.from({ length: 30 }, (_, i) => `l${i + 1}: &l${i + 1} [*l${i}, *l${i}]`);
    const bomb = `l0: &l0 [1, 2]\n${levels.join("\n")}`;
    expect(() => read(bomb)).toThrow("aliases that stand for more than 1000000 values");
    const merges = levels.map((line) => line.replace(/\[(.*)\]/, "{<<: [$1]}"));
    expect(() => read(`l0: &l0 {a: 1}\n${merges.join("\n")}`)).toThrow("aliases that stand for");
  });
  test("Y2: what ten thousand tenants share is not", () => {
    const tenants = Array.from({ length: 10_000 }, (_, i) => `t${i}: *shared`);
    const shared = `shared: &shared [${Array.from({ length: 90 }, (_, i) => i).join(", ")}]`;
    expect(read(`${shared}\n${tenants.join("\n")}`).root).toHaveProperty("size", 10_001);
  });
});
