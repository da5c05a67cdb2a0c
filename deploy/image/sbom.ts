/**
 * What the image is made of, as CycloneDX 1.6: the packages in the bundle, Node with the libraries inside its
 * binary (whose OpenSSL no package manager knows of), and the C libraries. Equal for equal contents: it bears neither
 * a time nor a random number.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, realpathSync } from "node:fs";
import path from "node:path";

interface LockedPackage {
  readonly version?: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface Component {
  readonly type: "application" | "library" | "platform";
  readonly "bom-ref": string;
  readonly name: string;
  readonly version?: string;
  readonly purl?: string;
  readonly cpe?: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses?: readonly { readonly expression: string }[];
  readonly components?: readonly Component[];
}

/** Of `process.versions`, what is a library of its own rather than an interface's number or a part that is data. */
const NOT_LIBRARIES = new Set(["node", "modules", "napi", "unicode", "cldr", "tz"]);

export function billOfMaterials(repository: string, libraries: readonly string[]): string {
  const lock = JSON.parse(readFileSync(path.join(repository, "package-lock.json"), "utf8")) as {
    readonly packages: Readonly<Record<string, LockedPackage>>;
  };
  const packages = new Map(Object.entries(lock.packages));
  const root = packages.get("") ?? {};
  const version = root.version ?? "0.0.0";
  const bill = {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      component: {
        type: "application",
        "bom-ref": "imprest",
        name: "imprest",
        version,
        purl: `pkg:npm/imprest@${version}`,
        licenses: [{ expression: root.license ?? "Apache-2.0" }],
      },
    },
    components: [...bundled(packages), node(), ...shared(libraries)],
  };
  return `${JSON.stringify(bill, undefined, 2)}\n`;
}

/** All that the run-time dependencies lead to, found as Node finds it: in the nearest node_modules above. */
function bundled(packages: ReadonlyMap<string, LockedPackage>): readonly Component[] {
  const found = new Map<string, LockedPackage>();
  const visit = (from: string, names: readonly string[]): void => {
    for (const name of names) {
      const place = resolve(packages, from, name);
      const entry = place === undefined ? undefined : packages.get(place);
      if (place === undefined || entry === undefined || found.has(place)) continue;
      found.set(place, entry);
      visit(place, Object.keys({ ...entry.dependencies, ...entry.optionalDependencies }));
    }
  };
  visit("", Object.keys(packages.get("")?.dependencies ?? {}));
  return [...found].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(fromNpm);
}

/** Where the package that `from` asks for lies; "": the root asks. */
function resolve(
  packages: ReadonlyMap<string, LockedPackage>,
  from: string,
  name: string,
): string | undefined {
  const place = `${from === "" ? "" : `${from}/`}node_modules/${name}`;
  if (packages.has(place) || from === "") return packages.has(place) ? place : undefined;
  const above = from.slice(0, Math.max(0, from.lastIndexOf("node_modules/") - 1));
  return resolve(packages, above, name);
}

function fromNpm([place, entry]: readonly [string, LockedPackage]): Component {
  const name = place.split("node_modules/").at(-1) ?? place;
  const version = entry.version ?? "0.0.0";
  const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
  const digest = /^sha512-(.+)$/.exec(entry.integrity ?? "")?.[1];
  return {
    type: "library",
    "bom-ref": place,
    name,
    version,
    purl,
    ...(digest === undefined ? {} : { hashes: [sha("SHA-512", Buffer.from(digest, "base64"))] }),
    ...(entry.license === undefined ? {} : { licenses: [{ expression: entry.license }] }),
  };
}

function node(): Component {
  const { version } = process;
  const digest = createHash("sha256").update(readFileSync(process.execPath)).digest();
  return {
    type: "platform",
    "bom-ref": "node",
    name: "node",
    version: version.slice(1),
    purl: `pkg:generic/node@${version.slice(1)}`,
    cpe: `cpe:2.3:a:nodejs:node.js:${version.slice(1)}:*:*:*:-:*:*:*`,
    hashes: [sha("SHA-256", digest)],
    components: Object.entries(process.versions)
      .filter(([name, of]) => of !== "" && !NOT_LIBRARIES.has(name))
      .map(([name, of]) => ({
        type: "library",
        "bom-ref": `node/${name}`,
        name,
        version: of ?? "",
        purl: `pkg:generic/${name}@${of ?? ""}`,
      })),
  };
}

/** By Debian's packages where there is a dpkg that knows them, else by their own hash. */
function shared(libraries: readonly string[]): readonly Component[] {
  const components = new Map<string, Component>();
  for (const library of libraries) {
    const component = fromDebian(library) ?? fromFile(library);
    components.set(component["bom-ref"], component);
  }
  return [...components.values()];
}

function fromDebian(library: string): Component | undefined {
  const ask = (...words: string[]): string =>
    execFileSync(words[0] ?? "", words.slice(1), {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  // With a merged /usr a file is known under the one name or the other.
  for (const file of new Set([library, realpathSync(library), library.replace(/^\/usr/, "")])) {
    try {
      const owner = ask("dpkg-query", "--search", file).split(": ")[0] ?? "";
      const format = "${Package}\t${Version}\t${Architecture}";
      const [name = "", version = "", arch = ""] = ask("dpkg-query", "-Wf", format, owner).split(
        "\t",
      );
      const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${arch}`;
      return { type: "library", "bom-ref": `deb/${name}`, name, version, purl };
    } catch {}
  }
  return undefined;
}

const fromFile = (library: string): Component => ({
  type: "library",
  "bom-ref": `file${library}`,
  name: path.basename(library),
  hashes: [sha("SHA-256", createHash("sha256").update(readFileSync(library)).digest())],
});

const sha = (alg: string, content: Buffer) => ({ alg, content: content.toString("hex") });
