/**
 * How many replicas must have a grant before it is spent. A primary that dies takes with it what no replica has; a
 * grant that was spent by then would be handed out a second time.
 *
 *   strict  of all data servers a majority has it, the primary among them. Fewer than one replica is never enough.
 *   auto    the same, as far as replicas are connected. Of two servers, one lost means that nothing is confirmed.
 *   off     the primary alone has it
 *
 * How many servers there are is learnt from those that were seen: a server does not tell of replicas that are gone.
 */

import type { Finding } from "./inspection.ts";

export type Confirm = "auto" | "strict" | "off";

export interface ReplicasSeen {
  /** Now. */
  readonly online: number;
  /** At most, since this process runs. */
  readonly mostOnline: number;
}

export function neededReplicas(confirm: Confirm, { online, mostOnline }: ReplicasSeen): number {
  const servers = 1 + mostOnline;
  const majority = Math.floor(servers / 2) + 1;
  switch (confirm) {
    case "off":
      return 0;
    case "strict":
      return Math.max(1, majority - 1);
    case "auto":
      return Math.min(majority - 1, online);
  }
}

/** What the replicas that are connected mean for this mode, to people. */
export function confirmFindings(
  confirm: Confirm,
  { online }: Pick<ReplicasSeen, "online">,
): readonly Finding[] {
  if (confirm === "off") return [];
  if (online === 0 && confirm === "strict") {
    return [
      {
        isFatal: true,
        text: "no replica is connected: with --confirm strict nothing is granted until one is; --confirm auto does without",
      },
    ];
  }
  const text =
    online === 0
      ? "no replica is connected: what it loses when it fails is not confirmed by anybody"
      : online === 1
        ? "one replica is connected: when one of the two is lost, grants are no longer confirmed; a third server helps"
        : "";
  return text === "" ? [] : [{ isFatal: false, text }];
}
