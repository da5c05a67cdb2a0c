/**
 * The installation: one key that says which data set this is and how the fleet confirms grants,
 * `imprest:id` = `<nonce>:<mode>`, and the birth of the 1,024 shards that it vouches for.
 *
 *   IN1  Shards are born before the id is written: who sees an id may rely on the shards.
 *   IN2  Of several sidecars that find no id, one writes it (SET NX); the others take what it wrote.
 *   IN3  Who knows of an earlier id, or goes on from a journal, tells a loss: then shards are born with the long
 *        window, in which holders report what they have. Who never saw one may be the first of all, and waits for
 *        the short one.
 *   IN4  A sidecar with another confirm mode than the fleet's is not served: the mode is part of what makes
 *        grants safe for everybody.
 */
import { BIRTH_MS } from "../../core/lease/message.ts";
import type { Confirm } from "./confirm.ts";
import type { Deployment } from "./deployment.ts";
import type { Outcome } from "./link.ts";

export const ID_KEY = "imprest:id";

export interface InstallationOptions {
  readonly confirm: Confirm;
  readonly learnMs: number;
  /** The process before this one may have seen an id. */
  readonly isHeir: boolean;
  /** 128 bits, for the id. */
  readonly mint: () => string;
  readonly deployment: Pick<Deployment, "bear" | "askForId">;
  /** It is another one than before. */
  readonly onNews: () => void;
  readonly onBorn: (windowMs: number) => void;
}

export interface Installation {
  /** Why it may not be used; "" where it may; undefined where that is not known yet. */
  cause(): string | undefined;
  /** What the server said to GET of {@link ID_KEY}. Resolves when what follows from it is done. */
  hear(outcome: Outcome): Promise<void>;
}

export function createInstallation(options: InstallationOptions): Installation {
  const { deployment } = options;
  let seen = "";
  let cause: string | undefined;
  let isBearing = false;

  function meet(id: string): void {
    const mode = id.slice(id.lastIndexOf(":") + 1);
    const hasChanged = seen !== "" && seen !== id;
    seen = id;
    cause = mode === options.confirm ? "" : mismatch(mode, options.confirm); // (IN4)
    if (hasChanged) options.onNews();
  }

  /** (IN1, IN2) */
  async function found(): Promise<void> {
    const windowMs = seen === "" && !options.isHeir ? BIRTH_MS : options.learnMs; // (IN3)
    const failure = await deployment.bear(windowMs);
    if (failure !== "") {
      cause = failure;
      return;
    }
    const id = `${options.mint()}:${options.confirm}`;
    const claimed = await deployment.askForId(["SET", ID_KEY, id, "NX"]);
    if (claimed.kind === "reply" && claimed.reply === "OK") {
      options.onBorn(windowMs);
      meet(id);
    } else if (claimed.kind !== "reply") cause = claimed.error;
    // Another one was faster: the next beat reads what it wrote.
  }

  return {
    cause: () => cause,
    async hear(outcome) {
      if (outcome.kind !== "reply") {
        // One that is known stays known while its server has other troubles.
        if (outcome.kind === "refused" && cause !== "") cause = outcome.error;
        return;
      }
      if (typeof outcome.reply === "string") return meet(outcome.reply);
      if (isBearing) return;
      isBearing = true;
      await found();
      isBearing = false;
    },
  };
}

const mismatch = (theirs: string, ours: Confirm): string =>
  `this fleet runs with --confirm ${theirs}, this sidecar with --confirm ${ours}: one mode for all`;
