/**
 * What a server has to be before units are entrusted to it: each thing that is missing is named, with what to do.
 * What is permitted is found out by doing it, to a key of its own: a server need not show its list of rights.
 */
import { parseInfo, type Info } from "./info.ts";
import type { Link, Outcome } from "./link.ts";
import type { StoreKind } from "./store-url.ts";

export interface InspectionOptions {
  readonly kind: StoreKind;
  readonly fencing: boolean;
  /** A key of this server that may be written; it is gone again afterwards. */
  readonly probeKey: string;
}

export interface Finding {
  /** Units may not be kept there as it is. */
  readonly isFatal: boolean;
  /** What is wrong, and what to do. */
  readonly text: string;
}

/** Each command that the scripts send, once; answers with those that are refused, and why. */
const PROBE = `
local key, refused = KEYS[1], {}
local function try(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then
    refused[#refused + 1] = (...) .. ': ' .. answer.err
  end
end
try('TIME')
try('EXISTS', key)
try('HSET', key, 'f', '1') -- the first that writes: where memory is short, one that needs none would let it pass
try('HGET', key, 'f')
try('HMGET', key, 'f')
try('HGETALL', key)
try('PEXPIREAT', key, ARGV[1])
try('HDEL', key, 'f')
try('ZADD', key, '1', 'm')
try('ZRANGEBYSCORE', key, '-inf', '1', 'LIMIT', '0', '1')
try('ZREM', key, 'm')
try('DEL', key)
try(ARGV[3], key, '')
if ARGV[2] == '1' then try('INFO', 'replication') end
return refused
`;

export interface Inspection {
  /** "7.0.15", "valkey 8.1.0". */
  readonly version: string;
  readonly info: Info;
  /** It has channels that stay within a shard of a Cluster. */
  readonly hasShardedChannels: boolean;
  readonly findings: readonly Finding[];
}

/** `told`: what it answered to INFO. undefined: it did not answer. */
export async function inspect(
  link: Link,
  told: Outcome,
  { kind, fencing, probeKey }: InspectionOptions,
): Promise<Inspection | undefined> {
  if (told.kind === "lost") return undefined;
  const info = parseInfo(told.kind === "reply" ? String(told.reply) : "");
  const inspection = {
    version: versionOf(info),
    info,
    hasShardedChannels: kind === "cluster" && majorOf(info) >= 7,
  };
  if (told.kind === "refused") {
    return { ...inspection, findings: [fatal(refusal("INFO is", told.error))] };
  }
  const findings = [
    ...versionFindings(info),
    ...placeFindings(info, kind),
    ...(fencing ? fencingFindings(info) : []),
    ...memoryFindings(info),
  ];
  // A server that is the wrong one is not written to.
  if (findings.some(({ isFatal }) => isFatal)) return { ...inspection, findings };
  const publish = inspection.hasShardedChannels ? "SPUBLISH" : "PUBLISH";
  const ends = Date.now() + 1_000;
  const [probed, waited] = await link.run([
    ["EVAL", PROBE, 1, probeKey, ends, fencing ? 1 : 0, publish],
    ["WAIT", 0, 1],
  ]);
  if (probed === undefined || probed.kind === "lost" || waited === undefined) return undefined;
  return { ...inspection, findings: [...findings, ...rightsFindings(probed, waited)] };
}

/** What a user of its own has to be given; said as Redis says it. */
export const RIGHTS =
  "`ACL SETUSER imprest on >PASSWORD ~imprest:* ~{q* resetchannels &{q* +@connection +eval +evalsha +info +time +wait +get +set +exists +del +hget +hset +hmget +hgetall +hdel +zadd +zrem +zrangebyscore +pexpireat +publish +subscribe +unsubscribe`, on a Cluster also `+cluster|slots +ssubscribe +sunsubscribe +spublish`";

const fatal = (text: string): Finding => ({ isFatal: true, text });

const versionOf = (info: Info): string => {
  const valkey = info.get("valkey_version");
  return valkey === undefined ? (info.get("redis_version") ?? "unknown") : `valkey ${valkey}`;
};

/** Valkey says of itself which Redis it can stand in for. */
const majorOf = (info: Info): number => Number((info.get("redis_version") ?? "0").split(".")[0]);

function versionFindings(info: Info): readonly Finding[] {
  if (info.has("valkey_version")) return [];
  const [major = 0, minor = 0] = (info.get("redis_version") ?? "0").split(".").map(Number);
  return major > 6 || (major === 6 && minor >= 2)
    ? []
    : [fatal(`it is version ${versionOf(info)}: Redis 6.2 or newer, or Valkey, is needed`)];
}

const fencingFindings = (info: Info): readonly Finding[] =>
  info.has("master_replid")
    ? []
    : [
        fatal(
          "it hides master_replid, by which a loss of data is noticed; --store-fencing none does without, and is right only for a store that never comes back with older data",
        ),
      ];

export const NO_CLUSTER = "it is no node of a Cluster: write --store redis://HOST:PORT";

function placeFindings(info: Info, kind: StoreKind): readonly Finding[] {
  const isCluster = info.get("cluster_enabled") === "1";
  const findings: Finding[] = [];
  if (isCluster && kind !== "cluster") {
    findings.push(fatal("it is a node of a Cluster: write --store redis+cluster://HOST:PORT"));
  }
  if (!isCluster && kind === "cluster") {
    findings.push(fatal(NO_CLUSTER));
  }
  if (info.get("role") === "slave" && kind !== "sentinel") {
    const primary = `${info.get("master_host") ?? "?"}:${info.get("master_port") ?? "?"}`;
    findings.push(fatal(`it is a read-only replica of ${primary}: --store has to lead there`));
  }
  return findings;
}

function memoryFindings(info: Info): readonly Finding[] {
  const policy = info.get("maxmemory_policy") ?? "noeviction";
  return policy === "noeviction"
    ? fullnessFindings(info)
    : [
        fatal(
          `maxmemory-policy is ${policy}: it would forget what was spent when memory is short; \`CONFIG SET maxmemory-policy noeviction\``,
        ),
      ];
}

/** Beyond this share of its memory it is told: what else grows there may fill it within the hour. */
const FULL_SHARE = 0.9;

function fullnessFindings(info: Info): readonly Finding[] {
  const [used, most] = ["used_memory", "maxmemory"].map((name) => Number(info.get(name) ?? 0));
  if (used === undefined || most === undefined || most === 0 || used < most * FULL_SHARE) return [];
  const percent = Math.floor((used / most) * 100);
  const text = `its memory is used to ${percent} % of maxmemory: full it takes no more writes, and hard limits refuse; raise maxmemory, or look what else lies there`;
  return [{ isFatal: false, text }];
}

function rightsFindings(probed: Outcome, waited: Outcome): readonly Finding[] {
  if (probed.kind !== "reply") return [fatal(refusal("scripts are", probed.error))];
  const refused = [...new Set(Array.isArray(probed.reply) ? probed.reply.map(String) : [])];
  const other = refused.find((text) => !isForbidden(text));
  if (other !== undefined) return [fatal(other)];
  const may = refused.length === 0 ? [] : [`the scripts may not do all: ${refused.join("; ")}`];
  if (waited.kind === "refused") may.push(`WAIT is refused (${waited.error})`);
  return may.map((text) => fatal(`${text}; give ${RIGHTS}`));
}

/** Each version has words of its own for it. */
const isForbidden = (error: string): boolean =>
  /NOPERM|can't (run|access|publish)|permission/.test(error);

/** A server that still loads, is out of memory or lacks replicas says so by itself. */
const refusal = (what: string, error: string): string =>
  isForbidden(error) ? `${what} refused (${error}); give ${RIGHTS}` : error;
