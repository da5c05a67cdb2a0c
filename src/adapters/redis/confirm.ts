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
