/**
 * Whether the files that a configuration names are there and fit, looked at before anything is opened. What is
 * wrong with any of them is told at once: whoever sets up a container sees one list, not one error per restart.
 */
import { readFile } from "node:fs/promises";
import { JournalUnusable, prepareDirectory } from "../adapters/journal/directory.ts";
import { createFilePolicySource } from "../adapters/policy/file-source.ts";
import type { StoreUrl } from "../adapters/redis/store-url.ts";
import { createClock } from "../adapters/system/clock.ts";
import type { PolicyDocument } from "../core/policy/document.ts";
import type { PolicySource } from "../ports/policy-source.ts";
import { describeProblem } from "./reloader.ts";
import { ConfigurationError, type SidecarConfig } from "./sidecar-config.ts";

/** As much as could be read of a configuration that is wrong. */
export interface NamedFiles {
  /** Path of the policy document. */
  readonly policy?: string | undefined;
  /** Of the store that a fleet shares. */
  readonly storeUrl?: StoreUrl | undefined;
  readonly storePasswordFile?: string | undefined;
  /** Folder of the journal. */
  readonly journal?: string | undefined;
}

/** The document, where every other file is fit too. @throws ConfigurationError that tells all that are not */
export async function loadConfigured(
  { policy: path, store, journal }: Pick<SidecarConfig, "policy" | "store" | "journal">,
  source: PolicySource,
): Promise<PolicyDocument> {
  const ofStore =
    store.kind === "memory" ? {} : { storeUrl: store.url, storePasswordFile: store.passwordFile };
  const [policy, others] = await Promise.all([
    readPolicy(source, path),
    otherFaults({ journal, ...ofStore }),
  ]);
  const problems = [...policy.problems, ...others];
  if (policy.document !== undefined && problems.length === 0) return policy.document;
  throw new ConfigurationError(problems);
}

/** What is wrong with these files, for a configuration that is refused already. */
export async function fileFaults(named: NamedFiles): Promise<readonly string[]> {
  const { policy, storeUrl } = named;
  const others = await otherFaults(named);
  if (policy === undefined) return others;
  const options = { clock: createClock(), revisionRequired: storeUrl !== undefined };
  const { problems } = await readPolicy(createFilePolicySource(policy, options), policy);
  return [...problems, ...others];
}

interface ReadPolicy {
  readonly document?: PolicyDocument;
  readonly problems: readonly string[];
}

async function readPolicy(source: PolicySource, path: string): Promise<ReadPolicy> {
  try {
    const result = await source.load();
    if (result.ok) return { document: result.document, problems: [] };
    return { problems: result.problems.map((one) => `${path}:${describeProblem(one)}`) };
  } catch (cause) {
    return { problems: [`the policy ${path} cannot be read: ${messageOf(cause)}`] };
  }
}

async function otherFaults(named: Omit<NamedFiles, "policy">): Promise<readonly string[]> {
  const { storeUrl, storePasswordFile = "", journal = "" } = named;
  const { ca = "", cert = "", key = "" } = storeUrl?.tls ?? {};
  const faults: string[] = [];
  for (const file of [storePasswordFile, ca, cert, key].filter((path) => path !== "")) {
    await readFile(file).catch((cause: unknown) => faults.push(`--store: ${messageOf(cause)}`));
  }
  if (journal === "") return faults;
  await prepareDirectory(journal).catch((cause: unknown) => {
    if (!(cause instanceof JournalUnusable)) throw cause;
    faults.push(`--journal: ${cause.message}`);
  });
  return faults;
}

const messageOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message : String(cause);
