/** What a server tells of itself in INFO. */

export type Info = ReadonlyMap<string, string>;

export function parseInfo(text: string): Info {
  const fields = new Map<string, string>();
  for (const line of text.split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0 && !line.startsWith("#")) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return fields;
}

export interface Replication {
  readonly isPrimary: boolean;
  /** Of the data set: another one after a restart, a promotion or a loss. */
  readonly replid: string;
  /** Replicas that follow, and answer. */
  readonly online: number;
}

export function replicationOf(info: Info): Replication {
  const replicas = [...info].filter(([name]) => /^slave\d+$/.test(name));
  return {
    isPrimary: info.get("role") === "master",
    replid: info.get("master_replid") ?? "",
    online: replicas.filter(([, value]) => value.includes("state=online")).length,
  };
}
