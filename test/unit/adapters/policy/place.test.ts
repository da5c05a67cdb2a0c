import { describe, expect, test } from "vitest";
import { locate } from "../../../../src/adapters/policy/place.ts";

describe("places", () => {
  const text = "a:\n  - x: 1\n    'y': \"two\"\n  - z\nb: &b {c: {d: 5}}\ne: *b\nf:\n";
  const at = (path: readonly (string | number)[], onKey = false): string => {
    const [place] = locate(text, [{ path, onKey }]);
    return `${place?.line}:${place?.column}`;
  };
  test.each([
    [[], "1:1"],
    [["a", 0, "x"], "2:8"],
    [["a", 0, "y"], "3:10"],
    [["a", 1], "4:5"],
    [["b", "c", "d"], "5:15"],
    [["e", "c", "d"], "5:15"],
    [["e"], "6:4"],
    [["f"], "7:1"],
  ])("the value at %j is at %s", (path, place) => {
    expect(at(path)).toBe(place);
  });
  test("of a key, its own", () => {
    expect(at(["a", 0, "y"], true)).toBe("3:5");
    expect(at(["b", "c"], true)).toBe("5:8");
  });
  test("of what is absent, of what is nearest above it", () => {
    expect(at(["a", 0, "z", "deep", 3])).toBe("2:5");
    expect(at(["a", 7])).toBe("2:3");
    expect(at(["b", "c", "x"])).toBe("5:11");
  });
});
