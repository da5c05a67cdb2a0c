/**
 * A sidecar that the pod brings along: it is looked at again after other webhooks, was copied from one that runs,
 * comes from a manifest, or its author wrote it. It is taken where it is what the injector would put in, as far as
 * that decides which program runs, with what, and for whom.
 *
 * What others add to every container for reasons of their own is let be: resources and probes (quotas, meshes), a
 * variable that neither Node nor Imprest reads, a token of the pod's in a folder that is not ours.
 */
import { PATH, SIDECAR, VOLUME } from "./name.ts";
import type { Container, Json, JsonMembers } from "./pod.ts";
import { isObject, isSame } from "./same.ts";

/** Members of a container that decide it. Others may come with any new Kubernetes, and must not refuse a pod then. */
const DECISIVE = [
  "image",
  "command",
  "args",
  "workingDir",
  "envFrom",
  "lifecycle",
  "volumeDevices",
  "restartPolicy",
] as const;

const PROBES = ["startupProbe", "readinessProbe", "livenessProbe"] as const;

/** How variables begin that change what runs, or what it reads. */
export const READ_VARIABLES = "^(IMPREST|NODE|UV|LD|GLIBC|GCONV|SSL|OPENSSL)_";
/** Where others may mount a token, or a Secret; no path that leads elsewhere has a letter there, and no dots. */
export const FOREIGN_MOUNTS = "^/var/run/secrets/[a-z]";
export const OUR_SECRETS = [PATH.token, PATH.apiToken];

/** What sets it apart from the injector's, by the message that whoever creates the pod sees. */
export function strangeness({ whole }: Container, rendered: JsonMembers): readonly string[] {
  const members = DECISIVE.filter((key) => !isSame(rendered[key], whole[key])).map((key) =>
    problem(key, shown(whole[key]), shown(rendered[key])),
  );
  const probes = PROBES.filter((key) => isObject(whole[key]) && "exec" in whole[key]).map((key) =>
    problem(`${key}.exec`, "one", "none"),
  );
  return [
    ...members,
    ...probes,
    ...strangeVariables(whole, rendered),
    ...strangeMounts(whole, rendered),
  ];
}

const problem = (member: string, found: string, allowed: string): string =>
  `container ${SIDECAR}: ${member}: found ${found}; allowed: ${allowed}`;

const LONGEST = 400;
function shown(json: Json | undefined): string {
  if (json === undefined) return "none";
  const text = JSON.stringify(json);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

const listOf = (whole: JsonMembers, key: string): readonly JsonMembers[] => {
  const list = whole[key];
  return Array.isArray(list) ? (list as readonly JsonMembers[]) : [];
};

const textAt = (members: JsonMembers, key: string): string => {
  const text = members[key];
  return typeof text === "string" ? text : "";
};

/** Without their values, which may be secret. */
function strangeVariables(whole: JsonMembers, rendered: JsonMembers): readonly string[] {
  const there = listOf(whole, "env");
  const ours = new Map(listOf(rendered, "env").map((each) => [textAt(each, "name"), each]));
  const isRead = new RegExp(READ_VARIABLES);
  const changed = [...ours].filter(([name, wanted]) => {
    const found = there.filter((each) => textAt(each, "name") === name);
    return found.length !== 1 || !isSame(wanted, found[0]);
  });
  const added = there
    .map((each) => textAt(each, "name"))
    .filter((name) => isRead.test(name) && !ours.has(name));
  return [
    ...changed.map(([name, wanted]) => problem(`env ${name}`, "another", shown(wanted))),
    ...added.map((name) => problem("env", name, "none that Node or Imprest reads")),
  ];
}

function strangeMounts(whole: JsonMembers, rendered: JsonMembers): readonly string[] {
  const there = listOf(whole, "volumeMounts");
  const ours = listOf(rendered, "volumeMounts");
  const lacking = ours.filter((mount) => !there.some((each) => isSame(mount, each)));
  const added = there
    .filter((mount) => !ours.some((each) => isSame(each, mount)))
    .filter((mount) => isOurs(textAt(mount, "name")) || !isForeign(textAt(mount, "mountPath")));
  const allowed = "the injector's, and a volume of the pod's own below /var/run/secrets";
  return [
    ...lacking.map((mount) =>
      problem(`volumeMounts ${textAt(mount, "mountPath")}`, "another, or none", shown(mount)),
    ),
    ...added.map((mount) => problem("volumeMounts", shown(mount), allowed)),
  ];
}

const isOurs = (volume: string): boolean => Object.values<string>(VOLUME).includes(volume);

/** The store's folder begins as the token's does. */
const isForeign = (path: string): boolean =>
  new RegExp(FOREIGN_MOUNTS).test(path) &&
  !path.includes("..") &&
  !OUR_SECRETS.some((each) => path.startsWith(each));
