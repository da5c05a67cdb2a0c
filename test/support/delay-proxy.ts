/** A way to a server on which every byte that comes back takes as long as it is told. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface DelayProxy {
  readonly port: number;
  /** From now on, of every answer. */
  delay(ms: number): void;
  stop(): Promise<void>;
}

export async function startDelayProxy(to: number): Promise<DelayProxy> {
  let delayMs = 0;
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(to, "127.0.0.1");
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        open.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream);
    let latest = 0;
    upstream.on("data", (bytes: Buffer) => {
      const now = performance.now();
      latest = Math.max(latest, now + delayMs); // nothing overtakes
      if (latest <= now) client.write(bytes);
      else setTimeout(() => client.write(bytes), latest - now);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    delay: (ms) => {
      delayMs = ms;
    },
    async stop() {
      server.close();
      for (const socket of open) socket.destroy();
      await once(server, "close");
    },
  };
}
