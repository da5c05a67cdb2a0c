/**
 * Hints from the store, on connections of their own: one to each server that has a channel somebody listens to.
 * Losing any costs time, never safety, so nothing here is repeated or confirmed; after a reconnect the channels are
 * asked for again, and what was said meanwhile is gone.
 */
import type { Dial } from "./dial.ts";
import { createLink, isStranger, type Link } from "./link.ts";
import type { Primary } from "./primary.ts";

/** An idle subscription says nothing for hours: this finds out that nobody is there any more. */
const PING_EVERY_MS = 2_000;

export interface SubscriptionsOptions {
  readonly dial: Dial;
  /** The server that has the channel now. */
  readonly ownerOf: (channel: string) => Primary | undefined;
  readonly onMessage: (text: string) => void;
}

export interface Subscriptions {
  add(channel: string): void;
  /** Channels may have gone to other servers. */
  follow(): void;
  close(): void;
}

interface Ear {
  readonly link: Link;
  readonly channels: Set<string>;
}

export function createSubscriptions(options: SubscriptionsOptions): Subscriptions {
  const { dial, ownerOf } = options;
  const wanted = new Set<string>();
  const ears = new Map<Primary, Ear>();

  function open(primary: Primary): Ear {
    const channels = new Set<string>();
    const link = createLink({
      dial,
      ...(primary.node === undefined ? {} : { node: primary.node }),
      onReady: () => {
        for (const channel of channels) ask(link, primary, channel);
      },
    });
    for (const event of ["message", "smessage"]) {
      link.redis.on(event, (_channel: string, text: string) => options.onMessage(text));
    }
    const ear = { link, channels };
    ears.set(primary, ear);
    return ear;
  }

  /** What fails is asked for again when the connection is new, or the slot has been found. */
  function ask(link: Link, primary: Primary, channel: string): void {
    const { redis } = link;
    const isSharded = primary.inspection()?.hasShardedChannels === true;
    const asked = isSharded ? redis.ssubscribe(channel) : redis.subscribe(channel);
    asked.catch(tryAgain(link));
  }

  const tryAgain =
    (link: Link) =>
    (error: Error): void => {
      if (isStranger(error.message)) link.reconnect(); // (LK3)
    };

  function place(channel: string): void {
    const owner = ownerOf(channel);
    // Which channels it has is not known before it was looked at; it is heard of when it was.
    if (owner?.inspection() === undefined) return;
    const ear = ears.get(owner) ?? open(owner);
    if (ear.channels.has(channel)) return;
    ear.channels.add(channel);
    if (ear.link.isReady()) ask(ear.link, owner, channel);
  }

  const timer = setInterval(() => {
    for (const { link } of ears.values()) {
      if (link.isReady()) link.redis.ping().catch(tryAgain(link));
    }
  }, PING_EVERY_MS);
  timer.unref();

  return {
    add(channel) {
      if (wanted.has(channel)) return;
      wanted.add(channel);
      place(channel);
    },
    follow() {
      for (const [primary, { link, channels }] of ears) {
        const stays = [...channels].filter((channel) => ownerOf(channel) === primary);
        if (stays.length === channels.size) continue;
        // A server that still has some of them keeps the others until the connection ends: they are silent there.
        for (const channel of channels) if (!stays.includes(channel)) channels.delete(channel);
        if (channels.size > 0) continue;
        ears.delete(primary);
        link.close();
      }
      for (const channel of wanted) place(channel);
    },
    close() {
      clearInterval(timer);
      for (const { link } of ears.values()) link.close();
    },
  };
}
