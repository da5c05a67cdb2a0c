/**
 * A policy in a file, and the news that it has changed.
 *
 * The file's state (device, inode, size, times) is polled, following links: that sees an edit in place, a
 * rename over it, and the swap of a link two levels up by which Kubernetes updates a ConfigMap, on every file
 * system. The content decides: it is hashed, and what was seen before is no news.
 *
 *   FS1  A change is acted on when two polls in a row and one after the reading see the same state, so that a
 *        file that is being written is not taken for a whole one.
 *   FS2  A file that changes all the time is read nevertheless, every MOST_WAITS polls.
 *   FS3  A file that cannot be read is news once, after MISSING_MS; while it is being replaced it may be gone
 *        for a moment.
 *   FS4  The document in force is replaced by none that the rules of `revision` refuse.
 */
import { open, stat } from "node:fs/promises";
import { revisionFault, type Edition } from "../../core/policy/revision.ts";
import type { Clock } from "../../ports/clock.ts";
import type { PolicyResult, PolicySource } from "../../ports/policy-source.ts";
import { isSmall, LARGEST_POLICY, tooLarge, VERSION_DIGITS } from "./content.ts";
import { readPolicy, type Reading } from "./reader.ts";

const POLL_MS = 250;
/** Sooner again after a change, which has to be known within 2 s: a large document takes half of that to be read. */
const AGAIN_MS = 100;
const MOST_WAITS = 4;
const MISSING_MS = 2_000;

export interface FilePolicyOptions {
  readonly clock: Clock;
  /** A shared store: a document without a revision is refused. Default false. */
  readonly revisionRequired?: boolean;
}

interface Content {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly version: string;
  /** Of the file; above the largest that is allowed, nothing of it was read. */
  readonly size: number;
}

export function createFilePolicySource(path: string, options: FilePolicyOptions): PolicySource {
  const { clock, revisionRequired = false } = options;
  /** What was last handed out as good. */
  let inForce: Edition | undefined;
  let seenVersion = "";
  let reading: Reading | undefined;

  /** Nothing waits for a decision yet, so a small document needs no thread. */
  async function load(): Promise<PolicyResult> {
    const content = await contentOf(path);
    if (content.size > LARGEST_POLICY || !isSmall(content.bytes)) return check(content);
    const { parsePolicyBytes } = await import("./parse.ts");
    return accept(content.version, parsePolicyBytes(content.bytes));
  }
  async function check({ bytes, version, size }: Content): Promise<PolicyResult> {
    if (size > LARGEST_POLICY) return accept(version, tooLarge(size));
    reading = readPolicy(bytes, version);
    const result = await reading.result;
    reading = undefined;
    return accept(version, result);
  }
  function accept(version: string, result: PolicyResult): PolicyResult {
    seenVersion = version;
    if (!result.ok) return result;
    const fault = revisionFault(inForce, result.document, revisionRequired);
    if (fault !== undefined) return { ok: false, problems: [{ path: "revision", ...fault }] };
    inForce = { version, revision: result.document.revision };
    return result;
  }

  function watch(changed: (result: PolicyResult) => void): () => void {
    let isStopped = false;
    let cancel = (): void => {};
    /** The state whose content has been read. */
    let known = "";
    let last = "";
    let waits = 0;
    let isMoving = false;
    let missingSince: number | undefined;

    async function look(): Promise<PolicyResult | undefined> {
      isMoving = false;
      const state = await stateOf(path);
      if (state === known) return undefined;
      const isForced = state !== last && ++waits > MOST_WAITS;
      const isSettled = state === last;
      last = state;
      isMoving = !isSettled && !isForced;
      if (isMoving) return undefined;
      waits = 0;
      const content = await contentOf(path);
      missingSince = undefined;
      if (!isForced && (await stateOf(path)) !== state) return undefined;
      if (isSettled) known = state;
      return content.version === seenVersion ? undefined : await check(content);
    }
    function missing(error: unknown): PolicyResult | undefined {
      const since = (missingSince ??= clock.mono());
      known = "";
      if (clock.mono() - since < MISSING_MS || seenVersion === "") return undefined;
      // Whatever is there next is news, even the content from before.
      seenVersion = "";
      const found = error instanceof Error ? error.message : String(error);
      return { ok: false, problems: [{ path: "", found, allowed: "a file that can be read" }] };
    }
    async function poll(): Promise<void> {
      const news = await look().catch(missing);
      if (isStopped) return;
      if (news !== undefined) changed(news);
      schedule();
    }
    function schedule(): void {
      const wait = isMoving ? AGAIN_MS : POLL_MS;
      if (!isStopped) cancel = clock.timer(wait, () => void poll());
    }
    schedule();
    return () => {
      isStopped = true;
      cancel();
      reading?.stop();
    };
  }
  return { load, watch };
}

/** A text that is equal for equal states of the file. */
async function stateOf(path: string): Promise<string> {
  const { dev, ino, size, mtimeMs, ctimeMs } = await stat(path);
  return [dev, ino, size, mtimeMs, ctimeMs].join(" ");
}

/** The whole file, through one handle, so that a swap meanwhile does not mix two. */
async function contentOf(path: string): Promise<Content> {
  const handle = await open(path);
  try {
    const { size } = await handle.stat();
    if (size > LARGEST_POLICY) return { bytes: new Uint8Array(), version: `${size} bytes`, size };
    const bytes = new Uint8Array(size);
    let filled = 0;
    while (filled < size) {
      const { bytesRead } = await handle.read(bytes, filled, size - filled, filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    const content = filled < size ? bytes.slice(0, filled) : bytes;
    return { bytes: content, version: await versionOfBytes(content), size: filled };
  } finally {
    await handle.close();
  }
}

/** As versionOf, hashed off the event loop. */
async function versionOfBytes(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Buffer.from(digest).toString("hex").slice(0, VERSION_DIGITS);
}
