/** The addresses of flags: where the sidecar listens, and where a subcommand finds it. */
import { isIP, isIPv4 } from "node:net";
import {
  formatAddress,
  parseAddress,
  type ListenAddress,
  type TcpAddress,
} from "../adapters/grpc/address.ts";
import type { Reader } from "./flag.ts";

const HOST_PORT = "HOST:PORT, such as 127.0.0.1:4600 or [::1]:4600";
const UNIX_PATH = "unix:PATH, with a path of at most 107 bytes";

/** Digits and dots are meant as an IPv4 address, colons as an IPv6 one; anything else is a name. */
const isHost = (host: string): boolean => !/^[\d.]+$|:/.test(host) || isIP(host) !== 0;

/** To listen on: port 0 lets the system choose. */
export const listenAddress: Reader<ListenAddress> = (text) => {
  const address = parseAddress(text);
  return address === undefined || (address.kind === "tcp" && !isHost(address.host))
    ? { allowed: text.startsWith("unix:") ? UNIX_PATH : `unix:PATH or ${HOST_PORT}` }
    : { value: address };
};

/** To listen on, TCP alone. */
export const tcpAddress: Reader<TcpAddress> = (text) => {
  const address = parseAddress(text);
  return address?.kind === "tcp" && isHost(address.host)
    ? { value: address }
    : { allowed: HOST_PORT };
};

/** To connect to; a path alone is a socket's. */
export const peerAddress: Reader<ListenAddress> = (text) => {
  const reading = listenAddress(text.startsWith("/") ? `unix:${text}` : text);
  const unreachable =
    "value" in reading && reading.value.kind === "tcp" && reading.value.port === 0;
  return unreachable ? { allowed: "a port from 1 to 65535" } : reading;
};

/** Reached from this machine alone. A name other than localhost may resolve to anything: it is not. */
export function isLoopback(address: ListenAddress): boolean {
  if (address.kind === "unix") return true;
  if (isIPv4(address.host)) return address.host.startsWith("127.");
  return address.host === "localhost" || isIpv6Loopback(address.host);
}

// The URL parser knows every spelling of an IPv6 address (0:0:0:0:0:0:0:1).
const isIpv6Loopback = (host: string): boolean =>
  isIP(host) === 6 && URL.parse(`http://[${host}]`)?.hostname === "[::1]";

/** Addresses that two of the listeners would both bind, as written; port 0 is a new one each time. */
export function boundTwice(addresses: readonly ListenAddress[]): readonly string[] {
  const texts = addresses
    .filter((address) => address.kind === "unix" || address.port !== 0)
    .map(formatAddress);
  return [...new Set(texts.filter((text, index) => texts.indexOf(text) !== index))];
}
