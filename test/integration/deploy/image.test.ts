/** The image's root file system, made without Docker: complete, and its list of contents says what is in it. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { read, ROOT } from "../../support/sources.ts";

interface Component {
  readonly name: string;
  readonly version?: string;
  readonly purl?: string;
  readonly components?: readonly Component[];
}

const run = promisify(execFile);
const make = (...words: readonly string[]) =>
  run(process.execPath, ["deploy/image/rootfs.ts", ...words], { cwd: ROOT });

let root = "";
const inRoot = (...parts: readonly string[]): string => path.join(root, ...parts);

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), "imprest-rootfs-"));
  await make(root);
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function filesBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
}

test("the command runs on nothing but what is in it", async () => {
  const files = await filesBelow(root);
  const loader = files.find((file) => /ld-linux[^/]*\.so/.test(file));
  const libraries = [...new Set(files.filter((file) => /\.so\.\d+$/.test(file)).map(path.dirname))];
  // The loader of the folder itself, told to look nowhere else, stands in for a container.
  const { stdout } = await run(
    inRoot(loader ?? ""),
    [
      "--inhibit-cache",
      "--library-path",
      libraries.map((folder) => inRoot(folder)).join(":"),
      inRoot("usr/local/bin/node"),
      inRoot("app/dist/main.js"),
      "--version",
    ],
    { env: {}, cwd: inRoot("app") },
  );
  const { version } = JSON.parse(read("package.json")) as { readonly version: string };
  expect(stdout).toBe(`imprest ${version}\n`);
});

test("it holds no shell, no package manager and no tests", async () => {
  const files = await filesBelow(root);
  expect(
    files.filter((file) => /\/(sh|bash|busybox|npm|apt)$|node_modules|\.ts$/.test(file)),
  ).toEqual([]);
  expect(files.filter((file) => file.startsWith("usr/local/bin/"))).toEqual(["usr/local/bin/node"]);
});

test("a user that is not root is in it, and only /tmp is for everybody to write", async () => {
  expect(await readFile(inRoot("etc/passwd"), "utf8")).toContain("nonroot:x:65532:65532:");
  expect((await stat(inRoot("tmp"))).mode & 0o7777).toBe(0o1777);
  for (const place of ["app", "run/imprest", "var/lib/imprest", "usr"]) {
    expect((await stat(inRoot(place))).mode & 0o022).toBe(0);
  }
});

test("the list names every run-time dependency, Node, its OpenSSL, and the C library", async () => {
  const bill = JSON.parse(
    await readFile(inRoot("usr/share/doc/imprest/sbom.cdx.json"), "utf8"),
  ) as { readonly bomFormat: string; readonly components: readonly Component[] };
  const { dependencies } = JSON.parse(read("package.json")) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  expect(bill.bomFormat).toBe("CycloneDX");
  for (const [name, version] of Object.entries(dependencies)) {
    const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
    expect(bill.components).toContainEqual(expect.objectContaining({ name, version, purl }));
  }
  const node = bill.components.find(({ name }) => name === "node");
  expect(node?.version).toBe(process.versions.node);
  expect(node?.components).toContainEqual(
    expect.objectContaining({ name: "openssl", version: process.versions.openssl }),
  );
  expect(bill.components.some(({ name }) => /^libc(6|\.so)/.test(name))).toBe(true);
  // What only builds and tests need is not in the image.
  expect(bill.components.map(({ name }) => name)).not.toContain("vitest");
});

test("a second time it comes out the same, and never over another", async () => {
  await expect(make(root)).rejects.toThrow(/found .*\/app; allowed: a folder without it/);
  const again = await mkdtemp(path.join(tmpdir(), "imprest-rootfs-"));
  await make("--app-only", again);
  const files = await readdir(again, { recursive: true });
  expect(files.filter((file) => /\.so|passwd/.test(file))).toEqual([]);
  expect(await readFile(path.join(again, "app/dist/main.js"))).toEqual(
    await readFile(inRoot("app/dist/main.js")),
  );
  await rm(again, { recursive: true });
});
