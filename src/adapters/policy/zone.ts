/** Time zones of the IANA database, as this Node knows them. */
const known = new Map<string, boolean>();
/** Names that are kept; a document can hold any number of made-up ones. */
const MOST_KEPT = 2_000;

/** False for fixed offsets ("+02:00"), which no calendar of a place follows. */
export function knowsZone(zone: string): boolean {
  const before = known.get(zone);
  if (before !== undefined) return before;
  const isKnown = /^[A-Za-z]/.test(zone) && isAccepted(zone);
  if (known.size < MOST_KEPT) known.set(zone, isKnown);
  return isKnown;
}

function isAccepted(zone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
