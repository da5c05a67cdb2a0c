/** The rights that the guide asks for are all that the scripts need. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { SCRIPTS } from "../../../../src/adapters/redis/codec.ts";

const guide = readFileSync("deploy/guides/fleet.md", "utf8");
const rights = new Set(/^ACL SETUSER .*$/m.exec(guide)?.[0].split(" ") ?? []);

test.each(Object.entries(SCRIPTS))("%s calls nothing else", (_, { source }) => {
  const calls = Array.from(source.matchAll(/call\('([A-Z]+)'/g), ([, name = ""]) => name);
  expect(calls.length).toBeGreaterThan(0);
  const missing = calls.filter((name) => !rights.has(`+${name.toLowerCase()}`));
  expect(missing).toEqual([]);
});
