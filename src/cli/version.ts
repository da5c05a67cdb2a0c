import { readFileSync } from "node:fs";

/** The program's version, from the package.json in its folder. */
export function packageVersion(root: URL): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));
  const isNamed = typeof manifest === "object" && manifest !== null && "version" in manifest;
  return isNamed ? String(manifest.version) : "unknown";
}
