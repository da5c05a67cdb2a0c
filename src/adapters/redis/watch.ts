/**
 * Whether the store may be used, from what each server and the installation say; asked for each half second, told
 * when it changes. One server of several that fails leaves the store up: who needs it gets a fault.
 */
import type { Log } from "../../ports/log.ts";
import type { Rng } from "../../ports/rng.ts";
import type { Deployment } from "./deployment.ts";
import { ID_KEY, type Installation } from "./installation.ts";
import { formatHost } from "./store-url.ts";

const BEAT_MS = 500;
/** So that a fleet does not ask in step. */
const JITTER = 0.1;

export interface WatchOptions {
  readonly deployment: Deployment;
  readonly installation: Installation;
  /** For the log. */
  readonly store: string;
  readonly log: Log;
  readonly rng: Rng;
  /** It may be used now, or may not any more. */
  readonly onChange: (status: StoreStatus) => void;
}

export interface StoreStatus {
  readonly isUp: boolean;
  /** Why it may not be used, or which of its servers may not; "" where all is well. */
  readonly cause: string;
}

export interface Watch {
  isKnown(): boolean;
  status(): StoreStatus;
  /** Something was heard: judges anew, and tells what has changed. */
  judge(): void;
  /** Asks now, rather than at the next beat. */
  beat(): void;
  close(): void;
}

const down = (cause: string | undefined): StoreStatus | undefined =>
  cause === undefined ? undefined : { isUp: false, cause };

export function createWatch(options: WatchOptions): Watch {
  const { deployment, installation, store, log, rng } = options;
  const { topology } = deployment;
  let status: StoreStatus | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  /** undefined: nothing is known yet. */
  function look(): StoreStatus | undefined {
    const primaries = topology.primaries();
    if (primaries.length === 0) return down(topology.cause());
    const causes = primaries.map((primary) => {
      const { cause } = primary.health();
      const { node } = primary;
      return cause === undefined || cause === "" || node === undefined
        ? cause
        : `${formatHost(node)}: ${cause}`;
    });
    const broken = causes.filter((cause) => cause !== undefined && cause !== "");
    if (broken.length === primaries.length) return down(broken[0]);
    if (!causes.includes("")) return undefined;
    return installation.cause() === ""
      ? { isUp: true, cause: broken.join("; ") }
      : down(installation.cause());
  }

  function judge(): void {
    const now = isClosed ? undefined : look();
    if (now === undefined) return;
    const before = status;
    status = now;
    const { isUp, cause } = now;
    if (isUp !== before?.isUp) options.onChange(now);
    else if (isUp && cause !== before.cause) {
      if (cause === "") log.info({ store }, "every server of the store answers again");
      else if (before.cause === "") log.warn({ store, cause }, "a server of the store is lost");
    }
  }

  async function beatOnce(): Promise<void> {
    if (status !== undefined && status.cause !== "") topology.refresh();
    const beats = topology.primaries().map(async (primary) => {
      const [id] = await primary.beat(deployment.hasId(primary) ? [["GET", ID_KEY]] : []);
      if (id !== undefined && primary.health().cause === "") await installation.hear(id);
      judge();
    });
    await Promise.all(beats);
  }

  function beat(): void {
    void beatOnce();
  }

  const again = (): void => {
    if (isClosed) return;
    beat();
    timer = setTimeout(again, BEAT_MS * (1 - JITTER * rng.next()));
    timer.unref();
  };
  again();

  return {
    isKnown: () => status !== undefined,
    status: () => status ?? { isUp: false, cause: "connecting" },
    judge,
    beat,
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}
