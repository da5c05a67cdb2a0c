import { readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { runShell } from "../../support/shell.ts";
import { ROOT } from "../../support/sources.ts";

const examples = readdirSync(path.join(ROOT, "deploy/examples")).filter((name) =>
  name.endsWith(".yaml"),
);

describe("every example of a policy", () => {
  test.each(examples)("%s is valid", async (name) => {
    const ran = await runShell(`npx imprest policy validate deploy/examples/${name}`);
    expect(ran).toMatchObject({ status: 0 });
  });
});
