import { describe, expect, test } from "vitest";
import type { Rules } from "../../../../src/core/policy/document.ts";
import { FAULTY, type Node } from "../../../../src/core/policy/node.ts";
import { layNode, layRules } from "../../../../src/core/policy/overlay.ts";

const map = (entries: Readonly<Record<string, Node>>): Node => new Map(Object.entries(entries));

describe("OV1: key by key", () => {
  const below = map({
    meter: "tokens",
    budget: map({ units: 5, period: "day" }),
    at: [map({ used: "80%" })],
  });
  test("what is named takes the place, nested too; what is not stays", () => {
    expect(layNode(below, map({ budget: map({ units: 9 }) }))).toEqual(
      map({
        meter: "tokens",
        budget: map({ units: 9, period: "day" }),
        at: [map({ used: "80%" })],
      }),
    );
  });
  test("null removes a key, nested too, and nothing where there is none", () => {
    const laid = layNode(below, map({ at: null, none: null, budget: map({ period: null }) }));
    expect(laid).toEqual(map({ meter: "tokens", budget: map({ units: 5 }) }));
    expect(layNode(undefined, map({ a: null, b: 1 }))).toEqual(map({ b: 1 }));
  });
  test("the plan's own value is not changed", () => {
    const before = structuredClone(below);
    layNode(below, map({ meter: null, budget: map({ units: 9 }) }));
    expect(below).toEqual(before);
  });
  test("a value that is faulty stays so", () => {
    expect(layNode(below, map({ budget: FAULTY }))).toEqual(
      map({ meter: "tokens", budget: FAULTY, at: [map({ used: "80%" })] }),
    );
  });
});

test("OV2: on_store_loss and lists are replaced as a whole", () => {
  const below = map({ on_store_loss: map({ share: map({ for: "5m" }) }), per: ["run", "user"] });
  const above = map({ on_store_loss: map({ allow: map({}) }), per: ["run"] });
  expect(layNode(below, above)).toEqual(above);
});

describe("rules of a tenant", () => {
  const loop = (name: string, repeats: number): Rules["loops"][number] => ({
    name,
    match: [],
    per: [],
    repeats,
    windowMs: 1,
    mode: "enforce",
  });
  const plan: Rules = {
    mode: "shadow",
    limits: [],
    breakers: [],
    loops: [loop("a", 1), loop("b", 2)],
    deny: { entries: [] },
  };
  const nothing = { limits: [], breakers: [], loops: [] };

  test("OV3: a rule of the same name keeps its place, new ones follow", () => {
    const laid = layRules(plan, { ...nothing, loops: [loop("c", 3), loop("a", 9)] });
    expect(laid.loops).toEqual([loop("a", 9), loop("b", 2), loop("c", 3)]);
  });
  test("where the tenant adds nothing they are the plan's own object", () => {
    expect(layRules(plan, nothing)).toBe(plan);
  });
  test("mode, allow, deny and on_deny are replaced, each by itself", () => {
    const laid = layRules(plan, { ...nothing, mode: "enforce", allow: { entries: [] } });
    expect(laid).toEqual({ ...plan, mode: "enforce", allow: { entries: [] } });
  });
  test("without a plan they are its own alone", () => {
    expect(layRules(undefined, { ...nothing, loops: [loop("c", 3)] })).toEqual({
      mode: "enforce",
      limits: [],
      breakers: [],
      loops: [loop("c", 3)],
    });
  });
});
