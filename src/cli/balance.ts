/** `imprest balance`: what is left of each limit of a subject, once or for as long as somebody watches. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  QuotaServiceService as Service,
  type Balance,
  type GetBalanceRequest,
  type GetBalanceResponse,
} from "../gen/imprest/v1/quota.ts";
import { CallError } from "./call-error.ts";
import type { QuotaConnection, Reply } from "./client.ts";
import { defineCommand, type Command } from "./command.ts";
import { CALL_EXITS, checkConnection, CONNECTION_FLAGS, withSidecar } from "./connection.ts";
import { toggle } from "./flag.ts";
import type { Host } from "./host.ts";
import { inkFor, spellUnits, table, type Ink } from "./ink.ts";
import { checkSubject, SUBJECT_FLAGS, subjectOf } from "./operation.ts";
import { spellTime } from "./wire-time.ts";

const WATCH_EVERY_MS = 1_000;

/** To the top left, and clear what is below. */
const CLEAR_SCREEN = "\x1b[2J\x1b[H";

/** Codes that a sidecar which restarts answers with for a while. */
const PASSING = new Set(["UNAVAILABLE", "DEADLINE_EXCEEDED"]);

export const balance: Command = defineCommand({
  name: "balance",
  about:
    "Shows what is left of every limit of a tenant, or of a narrower subject, as the sidecar knows it.",
  flags: {
    ...SUBJECT_FLAGS,
    watch: toggle(
      "Show it again each second until Ctrl-C; without a terminal, a line for each change.",
    ),
    refresh: toggle("Have the sidecar ask the store rather than answer from memory."),
    ...CONNECTION_FLAGS,
  },
  exits: CALL_EXITS,
  check: ({ values }) => [...checkConnection({ values }), ...checkSubject(values)],
  examples: [
    { line: "imprest balance --tenant acme", says: "What has acme left?" },
    { line: "imprest balance --tenant acme --subject run=r-7 --watch", says: "Watch one run." },
  ],
  run: (host, { values }) => {
    const request = { subject: subjectOf(values), refresh: values.refresh };
    return withSidecar(host, "balance", values, async (connection) => {
      const first = await connection.call(Service.getBalance, request);
      if (values.watch) return watch(host, connection, request, { first, json: values.json });
      host.stdout.write(
        values.json
          ? `${await first.json()}\n`
          : balanceTable(first.message.balances, inkFor(host)),
      );
      return 0;
    });
  },
});

interface Watched {
  readonly first: Reply<GetBalanceResponse>;
  readonly json: boolean;
}

async function watch(
  host: Host,
  connection: QuotaConnection,
  request: GetBalanceRequest,
  { first, json }: Watched,
): Promise<number> {
  const stop = host.stopSignal();
  const show = json ? jsonLines(host) : host.stdout.isTty ? screen(host) : changes(host);
  let reply: Reply<GetBalanceResponse> | CallError = first;
  for (;;) {
    await show(reply);
    await sleep(WATCH_EVERY_MS, undefined, { signal: stop }).catch(() => undefined);
    if (stop.aborted) return 0;
    reply = await connection.call(Service.getBalance, request).catch(keepPassing);
  }
}

/** What may be over in a second is shown rather than the end of the watch. */
function keepPassing(error: unknown): CallError {
  if (error instanceof CallError && PASSING.has(error.code)) return error;
  throw error;
}

type Show = (reply: Reply<GetBalanceResponse> | CallError) => Promise<void>;

const screen = (host: Host): Show => {
  const ink = inkFor(host);
  return async (reply) => {
    const page =
      reply instanceof CallError
        ? `${ink("red", reply.message)}\n`
        : balanceTable(reply.message.balances, ink);
    host.stdout.write(`${CLEAR_SCREEN}${page}${ink("dim", "each second; Ctrl-C ends")}\n`);
  };
};

const jsonLines = (host: Host): Show => {
  let last = "";
  return async (reply) => {
    if (reply instanceof CallError) return tellOnce(host, reply);
    const line = await reply.json();
    if (line !== last) host.stdout.write(`${line}\n`);
    last = line;
  };
};

const changes = (host: Host): Show => {
  const last = new Map<string, string>();
  return async (reply) => {
    if (reply instanceof CallError) return tellOnce(host, reply);
    for (const each of reply.message.balances) {
      const of = (units: bigint): string => spellUnits(each.meter, units);
      const key = `${each.limit} ${each.scope} ${meterName(each)}`;
      const line = `${key}: ${of(each.remainingUnits)} of ${of(each.limitUnits)} left, ${of(each.spentUnits)} spent, ${of(each.leasedUnits)} leased`;
      if (last.get(key) !== line) host.stdout.write(`${line}\n`);
      last.set(key, line);
    }
  };
};

const tellOnce = (host: Host, error: CallError): void =>
  host.stderr.write(`imprest balance: ${error.message}\n`);

/** What concurrency counts has no meter. */
const meterName = ({ meter }: Balance): string => (meter === "" ? "slots" : meter);

function balanceTable(balances: readonly Balance[], ink: Ink): string {
  if (balances.length === 0) return "No limit applies to this subject.\n";
  const rows = balances.map((each) => {
    const of = (units: bigint): string => spellUnits(each.meter, units);
    return [
      each.limit,
      each.scope,
      meterName(each),
      of(each.remainingUnits),
      of(each.limitUnits),
      of(each.spentUnits),
      of(each.leasedUnits),
      each.debtUnits === 0n ? "" : of(each.debtUnits),
      each.resetsAt === undefined ? "" : spellTime(each.resetsAt),
    ];
  });
  const right = true;
  const columns = [
    { title: "LIMIT" },
    { title: "SCOPE" },
    { title: "METER" },
    { title: "LEFT", right },
    { title: "OF", right },
    { title: "SPENT", right },
    { title: "LEASED", right },
    { title: "DEBT", right },
    { title: "RESETS" },
  ];
  return table(columns, rows, ink);
}
