import type { DurationMs } from "../../core/time.ts";
import type { Clock } from "../../ports/clock.ts";

/** Resolves with the news, or after `ms` without them. */
export async function newsOr(clock: Clock, ms: DurationMs, news: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = clock.timer(ms, resolve);
  await Promise.race([news, promise]);
  cancel();
}
