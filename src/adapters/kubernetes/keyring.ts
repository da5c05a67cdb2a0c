/** The injector's certificates as a Secret keeps them. What cannot be read there is as if it was not there. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { z } from "zod";
import {
  bundleOf,
  type Keyring,
  type Span,
  type Step,
  type Times,
} from "../../core/inject/rotation.ts";
import type { EpochMs } from "../../core/time.ts";
import { issueAuthority, issueLeaf, lifeOf, type KeyPair } from "./certificate.ts";

export interface Authority extends Span {
  readonly cert: string;
  /** "": it signs no more. */
  readonly key: string;
}

export interface Leaf extends Span, KeyPair {}

export type Keys = Keyring<Authority, Leaf>;

export interface CertificateSecret {
  readonly keys: Keys;
  readonly resourceVersion: string;
  /** An operator asked for a new authority, and has not got it yet. */
  readonly isAsked: boolean;
  /** As it stands, to be written back with other keys. */
  readonly object: Readonly<Record<string, unknown>>;
}

export const NO_KEYS: Keys = {
  authority: undefined,
  next: undefined,
  previous: undefined,
  leaf: undefined,
};

/** On the Secret: any new value asks for a new authority; the last one that was followed. */
const ROTATE = "imprest.dev/rotate";
const ROTATED = "imprest.dev/rotated";

const Shape = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    resourceVersion: z.string(),
    annotations: z.record(z.string(), z.string()).optional(),
  }),
  data: z.record(z.string(), z.string()).optional(),
});

/** `names`: what the serving certificate has to be for. */
export function readSecret(
  object: unknown,
  names: readonly string[],
): CertificateSecret | undefined {
  const shape = Shape.safeParse(object);
  if (!shape.success) return undefined;
  const { metadata, data = {} } = shape.data;
  const { [ROTATE]: asked, [ROTATED]: followed } = metadata.annotations ?? {};
  const text = (key: string): string => Buffer.from(data[key] ?? "", "base64").toString("utf8");
  const authority = readAuthority(text("ca.crt"), text("ca.key"));
  return {
    keys: {
      authority,
      next: readAuthority(text("ca-next.crt"), text("ca-next.key")),
      previous: readAuthority(text("ca-previous.crt")),
      leaf:
        authority && readLeaf({ cert: text("tls.crt"), key: text("tls.key") }, authority, names),
    },
    resourceVersion: metadata.resourceVersion,
    isAsked: asked !== undefined && asked !== followed,
    object: shape.data,
  };
}

function readAuthority(cert: string, key?: string): Authority | undefined {
  const read = certificateOf(cert);
  if (read === undefined || !read.ca) return undefined;
  if (key !== undefined && !isKeyOf(read, key)) return undefined;
  return { cert, key: key ?? "", ...lifeOf(read) };
}

function readLeaf(pair: KeyPair, authority: Authority, names: readonly string[]): Leaf | undefined {
  const read = certificateOf(pair.cert);
  if (read === undefined || !isKeyOf(read, pair.key)) return undefined;
  const isSigned = read.verify(new X509Certificate(authority.cert).publicKey);
  const isNamed = names.every((name) => read.checkHost(name) !== undefined);
  return isSigned && isNamed ? { ...pair, ...lifeOf(read) } : undefined;
}

function certificateOf(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function isKeyOf(cert: X509Certificate, pem: string): boolean {
  try {
    return cert.checkPrivateKey(createPrivateKey(pem));
  } catch {
    return false;
  }
}

/** The keys after a step of core/inject/rotation. */
export function take(
  step: Step,
  keys: Keys,
  {
    names,
    times,
    now,
  }: { readonly names: readonly string[]; readonly times: Times; readonly now: EpochMs },
): Keys {
  const found = (): Authority => {
    const life = { madeAt: now, validUntil: now + times.caLifetimeMs };
    return { ...issueAuthority(life), ...life };
  };
  const served = (by: Authority): Leaf => {
    const life = { madeAt: now, validUntil: Math.min(now + times.leafLifetimeMs, by.validUntil) };
    return { ...issueLeaf(by, names, life), ...life };
  };
  switch (step) {
    case "found": {
      const authority = found();
      const { authority: before } = keys;
      const previous = before !== undefined && before.validUntil > now ? before : undefined;
      return { authority, next: undefined, previous, leaf: served(authority) };
    }
    case "prepare":
      return { ...keys, next: found() };
    case "promote": {
      const { next: authority, authority: previous } = keys;
      if (authority === undefined) return keys;
      return { authority, next: undefined, previous, leaf: served(authority) };
    }
    case "renew":
      return keys.authority === undefined ? keys : { ...keys, leaf: served(keys.authority) };
    case "retire":
      return { ...keys, previous: undefined };
  }
}

/** The Secret's object with these keys. `isFollowed`: what an operator asked for is done with this. */
export function withKeys(
  { object }: Pick<CertificateSecret, "object">,
  { authority, next, previous, leaf }: Keys,
  isFollowed: boolean,
): Readonly<Record<string, unknown>> {
  const { metadata } = Shape.pick({ metadata: true }).parse(object);
  const { [ROTATE]: asked } = metadata.annotations ?? {};
  const texts: readonly (readonly [string, string | undefined])[] = [
    ["ca.crt", authority?.cert],
    ["ca.key", authority?.key],
    ["ca-next.crt", next?.cert],
    ["ca-next.key", next?.key],
    ["ca-previous.crt", previous?.cert],
    ["tls.crt", leaf?.cert],
    ["tls.key", leaf?.key],
  ];
  const data = texts.flatMap(([key, text]) =>
    text === undefined ? [] : [[key, Buffer.from(text).toString("base64")] as const],
  );
  return {
    ...object,
    metadata: {
      ...metadata,
      annotations: {
        ...metadata.annotations,
        ...(isFollowed && asked !== undefined ? { [ROTATED]: asked } : {}),
      },
    },
    data: Object.fromEntries(data),
  };
}

/** What a webhook's caBundle has to hold, PEM. */
export const bundlePem = (keys: Keys): string =>
  bundleOf(keys)
    .map(({ cert }) => cert)
    .join("");
