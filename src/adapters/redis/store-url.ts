/**
 * The address of a fleet's store, as `--store` writes it:
 *
 *   redis://user:password@host:6379/0            one server, or whatever a managed service shows as one
 *   redis+sentinel://h1:26379,h2:26379/NAME      the primary that these Sentinels call NAME
 *   redis+cluster://h1:6379,h2:6379              a Cluster, found through any of these nodes
 *
 * `rediss` in place of `redis` speaks TLS. What an error repeats of an address is never the part that may
 * hold a password.
 */

export interface StoreHost {
  readonly host: string;
  readonly port: number;
}

export type StoreKind = "single" | "sentinel" | "cluster";

export interface StoreTls {
  /** Path of the certificates that sign the server's; "": those that Node trusts. */
  readonly ca: string;
  /** Paths of this client's own certificate and key; "": none. */
  readonly cert: string;
  readonly key: string;
  /** The name that the server's certificate must be for; "": the host that is connected to. */
  readonly servername: string;
}

export interface StoreUrl {
  readonly kind: StoreKind;
  /** At least one. */
  readonly hosts: readonly StoreHost[];
  /** What Sentinels call the primary; "" unless there are Sentinels. */
  readonly name: string;
  /** The Sentinels ask for the same user and password as the servers (`?login=same`). */
  readonly sentinelLogin: boolean;
  /** "": the default user. */
  readonly username: string;
  /** "": none is in the address. */
  readonly password: string;
  readonly database: number;
  readonly tls: StoreTls | undefined;
}

export interface StoreUrlProblem {
  /** What is wrong, without anything that may be secret. */
  readonly found: string;
  readonly allowed: string;
}

export type StoreUrlResult = StoreUrl | StoreUrlProblem;

export const STORE_FORMS =
  "redis://HOST:PORT, rediss://… (TLS), redis+sentinel://H1:P,H2:P/NAME, redis+cluster://H1:P,H2:P";

const PARTS =
  /^(?<scheme>[a-z+]+):\/\/(?:(?<login>[^/?#]*)@)?(?<hosts>[^/?#@]*)(?:\/(?<path>[^?#]*))?(?:\?(?<query>[^#]*))?$/;
const HOST = /^(?:\[([0-9a-fA-F:.%a-z]+)\]|([A-Za-z0-9_.-]+))(?::([0-9]{1,5}))?$/;
const SCHEMES = new Map<string, { readonly kind: StoreKind; readonly port: number }>([
  ["redis", { kind: "single", port: 6379 }],
  ["redis+sentinel", { kind: "sentinel", port: 26_379 }],
  ["redis+cluster", { kind: "cluster", port: 6379 }],
]);
/** What may stand behind `?`. */
const TLS_PARAMETERS = ["ca", "cert", "key", "servername"] as const;
const SENTINEL_PARAMETERS = ["login"] as const;

/** The highest number of a database that a server can be configured to have is far below. */
const DATABASE = /^\d{1,5}$/;
const SENTINEL_NAME = /^[A-Za-z0-9_.-]{1,128}$/;

export const isProblem = (result: StoreUrlResult): result is StoreUrlProblem => "allowed" in result;

/** `forms`: what is offered in place of a text that is none of them. */
export function parseStoreUrl(text: string, forms = STORE_FORMS): StoreUrlResult {
  const parts = PARTS.exec(text)?.groups;
  const given = parts?.["scheme"] ?? "";
  const isTls = given.startsWith("rediss");
  const scheme = SCHEMES.get(isTls ? given.replace("rediss", "redis") : given);
  if (parts === undefined || scheme === undefined) {
    return { found: knownScheme(text), allowed: forms };
  }
  const hosts = parseHosts(parts["hosts"] ?? "", scheme.port);
  if (!Array.isArray(hosts)) return hosts;
  const place = parsePlace(scheme.kind, parts["path"] ?? "");
  if (isFailure(place)) return place;
  if (scheme.kind === "single" && hosts.length > 1) {
    return {
      found: `${hosts.length} hosts`,
      allowed: "one host, or redis+sentinel: or redis+cluster: in front of several",
    };
  }
  const login = parseLogin(parts["login"]);
  if (isFailure(login)) return login;
  const extras = parseQuery(scheme.kind, isTls, parts["query"] ?? "");
  if (isFailure(extras)) return extras;
  return { kind: scheme.kind, hosts, ...place, ...login, ...extras };
}

/** For logs: where it is, without who comes. */
export function formatStoreUrl({ kind, hosts, name, database, tls }: StoreUrl): string {
  const scheme = `redis${tls === undefined ? "" : "s"}${kind === "single" ? "" : `+${kind}`}`;
  const places = hosts.map(formatHost).join(",");
  const path = kind === "sentinel" ? `/${name}` : "";
  return `${scheme}://${places}${path}${database === 0 ? "" : `/${database}`}`;
}

export const formatHost = ({ host, port }: StoreHost): string =>
  `${host.includes(":") ? `[${host}]` : host}:${port}`;

const isFailure = (part: object): part is StoreUrlProblem => "allowed" in part;

/** The scheme alone is safe to repeat, and only where it looks like one. */
const knownScheme = (text: string): string =>
  text === "memory:"
    ? text
    : /^rediss?(\+[a-z]+)?:/.test(text)
      ? "an address that is not of this form"
      : "something else";

function parseHosts(text: string, port: number): StoreHost[] | StoreUrlProblem {
  const hosts: StoreHost[] = [];
  for (const part of text.split(",")) {
    const match = HOST.exec(part);
    const host = match?.[1] ?? match?.[2];
    const given = match?.[3] === undefined ? port : Number(match[3]);
    if (host === undefined || given < 1 || given > 65_535) {
      return {
        found:
          "a host or port that is none (is an @ or / in the password not written as %40, %2F?)",
        allowed: "HOST:PORT with a port from 1 to 65535, several comma-separated",
      };
    }
    hosts.push({ host, port: given });
  }
  return hosts;
}

function parsePlace(
  kind: StoreKind,
  path: string,
): Pick<StoreUrl, "name" | "database"> | StoreUrlProblem {
  if (kind === "cluster") {
    return path === "" || path === "0"
      ? { name: "", database: 0 }
      : { found: "a database", allowed: "none: a Cluster has database 0 alone" };
  }
  const [first = "", second = ""] = kind === "sentinel" ? path.split("/") : ["", path];
  if (kind === "sentinel" && !SENTINEL_NAME.test(first)) {
    return {
      found: "no name of the primary",
      allowed: "redis+sentinel://H1:P,H2:P/NAME, NAME as in `sentinel monitor NAME …`",
    };
  }
  return second === "" || DATABASE.test(second)
    ? { name: first, database: Number(second) }
    : { found: "a database that is no number", allowed: "/N at the end, such as /0" };
}

function parseLogin(
  text: string | undefined,
): Pick<StoreUrl, "username" | "password"> | StoreUrlProblem {
  const colon = text?.indexOf(":") ?? -1;
  try {
    return {
      username: decodeURIComponent(colon < 0 ? (text ?? "") : (text?.slice(0, colon) ?? "")),
      password: colon < 0 ? "" : decodeURIComponent(text?.slice(colon + 1) ?? ""),
    };
  } catch {
    return {
      found: "a user or password with a stray %",
      allowed: "USER:PASSWORD@ with % written as %25, or --store-password-file",
    };
  }
}

function parseQuery(
  kind: StoreKind,
  isTls: boolean,
  query: string,
): Pick<StoreUrl, "tls" | "sentinelLogin"> | StoreUrlProblem {
  const params = new URLSearchParams(query);
  const known = new Set<string>([
    ...(isTls ? TLS_PARAMETERS : []),
    ...(kind === "sentinel" ? SENTINEL_PARAMETERS : []),
  ]);
  if (![...params.keys()].every((name) => known.has(name))) {
    const allowed = `?${TLS_PARAMETERS.join("=…&")}=… with rediss, ?login=same with +sentinel`;
    return { found: "another parameter after ?", allowed };
  }
  const of = (name: string): string => params.get(name) ?? "";
  const tls = { ca: of("ca"), cert: of("cert"), key: of("key"), servername: of("servername") };
  if ((tls.cert === "") !== (tls.key === "")) {
    return { found: "one of cert and key", allowed: "both or neither" };
  }
  if (params.has("login") && of("login") !== "same") {
    return { found: "another login", allowed: "?login=same" };
  }
  return { tls: isTls ? tls : undefined, sentinelLogin: params.has("login") };
}
