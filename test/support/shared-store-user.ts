/** Somebody who uses a fleet's store without an engine: sends messages, and writes down what it is told. */
import { createRedisStore, type RedisStore } from "../../src/adapters/redis/shared-store.ts";
import { isProblem, parseStoreUrl } from "../../src/adapters/redis/store-url.ts";
import { createRng } from "../../src/adapters/system/rng.ts";
import type { Sight, LedgerSpec } from "../../src/core/lease/ledger.ts";
import {
  DEFAULT_TERMS,
  type Hint,
  type LeaseTerms,
  type SyncBlock,
  type SyncMessage,
  type SyncReply,
} from "../../src/core/lease/message.ts";
import type { StoreFault } from "../../src/ports/lease-store.ts";
import { aLedgerSpec } from "./ledgers.ts";
import { recordLog, type LogLine } from "./log-lines.ts";
import { eventually } from "./eventually.ts";

type Access = Parameters<typeof createRedisStore>[0];

export interface StoreUser {
  readonly store: RedisStore;
  /** "up", "down" and "changed", in the order in which they were told. */
  readonly told: readonly string[];
  /** With each "down". */
  readonly causes: readonly string[];
  readonly hints: readonly Hint[];
  readonly lines: readonly LogLine[];
  /** Resolves once it has been told this at least so often. */
  hears(what: string, times?: number): Promise<void>;
  /** One message about one ledger: asks for `need` more than what it was granted so far. */
  ask(need: number, options?: AskOptions): Promise<SyncReply | StoreFault>;
  /** The same, repeated until it is granted: a store that was just born listens first. */
  get(need: number, options?: AskOptions): Promise<SyncReply>;
  read(spec: LedgerSpec): Promise<Sight>;
  close(): Promise<void>;
}

export interface AskOptions {
  /** Default: "acme". */
  readonly uid?: string;
  readonly spec?: LedgerSpec;
  /** How long it wants to be woken, ms; default: not at all. */
  readonly waitMs?: number;
  /** What it returns of what it has. */
  readonly returned?: number;
}

export interface StoreUserOptions {
  readonly confirm?: Access["confirm"];
  readonly fencing?: Access["fencing"];
  readonly passwordFile?: string;
  readonly terms?: Partial<LeaseTerms>;
}

let minted = 0;
/** In the form of an id that was made now. */
const mintId = (): string => {
  minted += 1;
  return `${Date.now().toString(16).padStart(12, "0")}7000${minted.toString(16).padStart(16, "0")}`;
};

export function useStore(address: string, options: StoreUserOptions = {}): StoreUser {
  const url = parseStoreUrl(address);
  if (isProblem(url)) throw new Error(`found ${url.found}; allowed: ${url.allowed}`);
  const terms = { ...DEFAULT_TERMS, ...options.terms };
  const { lines, log } = recordLog();
  const store = createRedisStore({
    url,
    passwordFile: options.passwordFile ?? "",
    confirm: options.confirm ?? "auto",
    fencing: options.fencing ?? "replid",
    label: "test",
    terms,
    isHeir: false,
    log,
    rng: createRng(),
  });
  const told: string[] = [];
  const causes: string[] = [];
  const hints: Hint[] = [];
  store.listen({
    up(isUp, cause = "") {
      told.push(isUp ? "up" : "down");
      if (!isUp) causes.push(cause);
    },
    changed: () => told.push("changed"),
    hint: (hint) => hints.push(hint),
  });
  const nonce = mintId().slice(16);
  const leases = new Map<
    string,
    { readonly holder: string; seq: number; granted: number; returned: number }
  >();

  function message(need: number, asked: AskOptions): SyncMessage {
    const { uid = "acme", waitMs = 0, returned = 0 } = asked;
    const spec = asked.spec ?? aLedgerSpec({ key: `${uid}\0tokens/tokens\0\0once` });
    const lease = leases.get(spec.key) ?? { holder: mintId(), seq: 0, granted: 0, returned: 0 };
    leases.set(spec.key, lease);
    lease.seq += 1;
    lease.returned += returned;
    const { holder, seq, granted } = lease;
    const block: SyncBlock = {
      ...{ holder, spec, seq, granted, spent: 0, returned: lease.returned, beyond: 0, overage: 0 },
      ...{ refunded: 0, want: granted - lease.returned + need, need, demand: 1, mean: 1 },
      ...{
        witness: { fence: 0, version: 0, used: 0, carried: 0 },
        openMs: 0,
        firstMs: 0,
        lifeMs: 600_000,
      },
      close: 0,
    };
    return {
      holder: { nonce, epoch: 1, ancestors: [], label: "a test" },
      ...{ terms, uid, atomic: false, waitMs, blocks: [block] },
    };
  }

  function ask(need: number, asked: AskOptions = {}): Promise<SyncReply | StoreFault> {
    const sent = message(need, asked);
    return new Promise((resolve) =>
      store.sync(sent, (reply) => {
        const key = sent.blocks[0]?.spec.key ?? "";
        const lease = leases.get(key);
        const granted = "fault" in reply ? undefined : reply.blocks[0]?.granted;
        if (lease && granted !== undefined) lease.granted = granted;
        resolve(reply);
      }),
    );
  }

  return {
    store,
    told,
    causes,
    hints,
    lines,
    hears: (what, times = 1) =>
      eventually(() => told.filter((each) => each === what).length >= times),
    ask,
    async get(need, asked) {
      for (;;) {
        const reply = await ask(need, asked);
        if (!("fault" in reply) && (reply.blocks[0]?.grant ?? 0) >= need) return reply;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    read: (spec) =>
      new Promise((resolve, reject) =>
        store.read("acme", [spec.key], (views) =>
          "fault" in views ? reject(new Error(views.fault)) : resolve(views[0]),
        ),
      ),
    close: () => store.close(),
  };
}
