/**
 * Makes the image's root file system in a folder, without a Docker engine:
 *
 *   node deploy/image/rootfs.ts FOLDER             all of it, with the C libraries of this machine
 *   node deploy/image/rootfs.ts --app-only FOLDER  what the Dockerfile lays over a base that has those
 *
 * It holds Node (the very binary that runs this script), the bundle, users, a place for the socket and the
 * journal, and the list of what it is made of. No shell, no package manager, nothing that is writable but /tmp.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import path from "node:path";
import { billOfMaterials } from "./sbom.ts";

const REPOSITORY = path.join(import.meta.dirname, "../..");

/** The user of the base image, of the chart and of Pod Security's "restricted": never 0. */
const USER = 65_532;

const PASSWD = `root:x:0:0:root:/:/sbin/nologin
nonroot:x:${USER}:${USER}:nonroot:/app:/sbin/nologin
`;
const GROUP = `root:x:0:\nnonroot:x:${USER}:\n`;
/** Names of services and hosts come from files and DNS. */
const NSSWITCH = "hosts: files dns\n";

/** Paths of the libraries that the binary loads, its loader among them. */
function librariesOf(binary: string): readonly string[] {
  const lines = execFileSync("ldd", [binary], { encoding: "utf8" });
  return [...lines.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, file = ""]) => file);
}

/** glibc opens these by name, the one at the first look-up of a host, so that ldd does not see them. */
const OPENED_BY_NAME = ["libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"];

function openedByName(libraries: readonly string[]): readonly string[] {
  const libc = libraries.find((file) => path.basename(file) === "libc.so.6");
  if (libc === undefined) return [];
  return OPENED_BY_NAME.map((name) => path.join(path.dirname(libc), name)).filter(existsSync);
}

function makeRootfs(folder: string, isAppOnly: boolean): void {
  const put = (to: string, from: string): void => {
    cpSync(realpathSync(from), path.join(folder, to), { recursive: true });
  };
  const write = (to: string, text: string): void => {
    mkdirSync(path.dirname(path.join(folder, to)), { recursive: true });
    writeFileSync(path.join(folder, to), text, { mode: 0o644 });
  };
  if (!existsSync(path.join(REPOSITORY, "dist/main.js"))) {
    throw new Error("dist/main.js is missing: npm run build makes it");
  }
  put("usr/local/bin/node", process.execPath);
  for (const part of ["dist", "package.json", "LICENSE"]) {
    put(`app/${part}`, path.join(REPOSITORY, part));
  }
  const libraries = isAppOnly ? [] : librariesOf(process.execPath);
  const all = [...libraries, ...openedByName(libraries)];
  for (const library of all) put(library, library);
  write("usr/share/doc/imprest/sbom.cdx.json", billOfMaterials(REPOSITORY, all));
  // Mount points: the root file system is read-only where it runs.
  for (const place of ["run/imprest", "var/lib/imprest", "etc/imprest"]) {
    mkdirSync(path.join(folder, place), { recursive: true });
  }
  if (isAppOnly) return;
  write("etc/passwd", PASSWD);
  write("etc/group", GROUP);
  write("etc/nsswitch.conf", NSSWITCH);
  for (const place of ["proc", "sys", "dev", "tmp"]) {
    mkdirSync(path.join(folder, place), { recursive: true });
  }
  chmodSync(path.join(folder, "tmp"), 0o1777);
}

const words = process.argv.slice(2);
const [folder] = words.filter((word) => !word.startsWith("--"));
if (folder === undefined) {
  process.stderr.write("usage: node deploy/image/rootfs.ts [--app-only] FOLDER\n");
  process.exitCode = 2;
} else if (existsSync(path.join(folder, "app"))) {
  process.stderr.write(`rootfs: found ${folder}/app; allowed: a folder without it\n`);
  process.exitCode = 2;
} else {
  makeRootfs(folder, words.includes("--app-only"));
  const entry = `/usr/local/bin/node /app/dist/main.js`;
  process.stdout.write(`${folder}: entrypoint ${entry}, user ${USER}:${USER}, workdir /app\n`);
}
