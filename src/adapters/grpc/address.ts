/** Where a server listens, in the form that flags and logs use: `unix:PATH` or `HOST:PORT`. */

export interface UnixAddress {
  readonly kind: "unix";
  readonly path: string;
}
export interface TcpAddress {
  readonly kind: "tcp";
  /** A name, an IPv4 address, or an IPv6 address without brackets. */
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
}
export type ListenAddress = UnixAddress | TcpAddress;

/** The longest path that the kernel takes for a unix socket (sun_path, less its final zero). */
const UNIX_PATH_BYTES = 107;

const TCP = /^(?:\[([0-9a-fA-F:.%a-z]+)\]|([A-Za-z0-9_.-]+)):([0-9]{1,5})$/;

/** `undefined` for what is neither form: an empty or overlong path, a port above 65535. */
export function parseAddress(text: string): ListenAddress | undefined {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    const fits = path !== "" && Buffer.byteLength(path) <= UNIX_PATH_BYTES;
    return fits && !path.includes("\0") ? { kind: "unix", path } : undefined;
  }
  const match = TCP.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port > 65_535 ? undefined : { kind: "tcp", host, port };
}

/** The inverse of {@link parseAddress}. */
export function formatAddress(address: ListenAddress): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}
