/** `imprest reservations`: what is held open by this sidecar, and giving one of it back by hand. */
import {
  type ListReservationsResponse,
  QuotaServiceService as Service,
  type Reservation,
  type Subject,
} from "../gen/imprest/v1/quota.ts";
import { showReleased } from "./answer.ts";
import { CallError } from "./call-error.ts";
import type { QuotaConnection, Reply } from "./client.ts";
import { defineCommand, type Command } from "./command.ts";
import { CALL_EXITS, checkConnection, CONNECTION_FLAGS, withSidecar } from "./connection.ts";
import { optional } from "./flag.ts";
import { inkFor, spellAmounts, table, type Ink } from "./ink.ts";
import { checkSubject, SUBJECT_FLAGS, subjectOf } from "./operation.ts";
import { count, text } from "./reader.ts";
import { spellTime } from "./wire-time.ts";

const PAGE_MAX = 1_000;

export const reservations: Command = defineCommand({
  name: "reservations",
  about: "Lists the open reservations of a tenant that this sidecar holds, oldest first.",
  flags: {
    ...SUBJECT_FLAGS,
    "page-size": optional(
      "N",
      "Show one page of so many, and how to get the next. Default: all.",
      count(1, PAGE_MAX),
    ),
    "page-token": optional("TOKEN", "Go on after this page.", text),
    ...CONNECTION_FLAGS,
  },
  exits: CALL_EXITS,
  check: ({ values }) => [...checkConnection({ values }), ...checkSubject(values)],
  examples: [
    { line: "imprest reservations --tenant acme", says: "What does acme hold?" },
    {
      line: "imprest reservations --tenant acme --subject run=r-7 --json",
      says: "What does one run hold?",
    },
  ],
  run: (host, { values }) =>
    withSidecar(host, "reservations", values, async (connection) => {
      const ink = inkFor(host);
      const size = values["page-size"];
      const from = values["page-token"] ?? "";
      let isFirst = true;
      let next = "";
      // Without a page size all pages are shown; with --json each is a line of its own.
      for await (const reply of pages(connection, subjectOf(values), size ?? PAGE_MAX, from)) {
        const { reservations: listed, nextPageToken } = reply.message;
        if (values.json) host.stdout.write(`${await reply.json()}\n`);
        else if (isFirst || listed.length > 0) host.stdout.write(reservationTable(listed, ink));
        isFirst = false;
        next = nextPageToken;
        if (size !== undefined) break;
      }
      if (next !== "" && !values.json) host.stdout.write(`more: --page-token ${next}\n`);
      return 0;
    }),
});

/** The pages after the one that `from` ends, asked for one by one. */
async function* pages(
  connection: QuotaConnection,
  subject: Subject,
  pageSize: number,
  from: string,
): AsyncGenerator<Reply<ListReservationsResponse>> {
  let pageToken = from;
  do {
    const request = { subject, pageSize, pageToken };
    const reply = await connection.call(Service.listReservations, request);
    yield reply;
    pageToken = reply.message.nextPageToken;
  } while (pageToken !== "");
}

/** "workflow:chat/run:r-7": as in a limit's scope, without the tenant. */
function spellSubject(subject: Subject | undefined): string {
  if (subject === undefined) return "";
  const { workspace, app, workflow, agent, toolset, dimensions } = subject;
  const levels = Object.entries({ workspace, app, workflow, agent, toolset });
  return [...levels, ...[...dimensions].toSorted(([a], [b]) => (a < b ? -1 : 1))]
    .filter(([, name]) => name !== "")
    .map(([level, name]) => `${level}:${name}`)
    .join("/");
}

function reservationTable(listed: readonly Reservation[], ink: Ink): string {
  if (listed.length === 0) return "No open reservation.\n";
  const rows = listed.map(({ reservationId, subject, action, reserved, charged, expiresAt }) => [
    reservationId,
    subject?.tenant ?? "",
    spellSubject(subject),
    [action?.kind ?? "", action?.name ?? ""].filter((part) => part !== "").join(" "),
    spellAmounts(reserved),
    charged.length === 0 ? "" : spellAmounts(charged),
    expiresAt === undefined ? "" : spellTime(expiresAt),
  ]);
  const columns = ["RESERVATION", "TENANT", "SUBJECT", "ACTION", "RESERVED", "CHARGED", "EXPIRES"];
  return table(
    columns.map((title) => ({ title })),
    rows,
    ink,
  );
}

/**
 * Whoever named the tenant does not mean another one's reservation, though its id alone would do: Release takes no
 * tenant. Throws what the sidecar says of an id that it does not know.
 */
async function findOpen(connection: QuotaConnection, tenant: string, id: string): Promise<void> {
  const subject = subjectOf({ tenant, subject: [] });
  for await (const { message } of pages(connection, subject, PAGE_MAX, "")) {
    if (message.reservations.some(({ reservationId }) => reservationId === id)) return;
  }
  const words = "no reservation of this id is known to this sidecar";
  throw new CallError("NOT_FOUND", `NOT_FOUND RESERVATION_UNKNOWN: ${words}`);
}

export const reservationsRelease: Command = defineCommand({
  name: "reservations release",
  about: "Gives an open reservation back unused, for a caller that will not do it any more.",
  positionals: [{ name: "ID", help: "the reservation, as `imprest reservations` lists it" }],
  flags: {
    tenant: optional("T", "Only where it is an open one of this tenant.", text),
    reason: optional("TEXT", "Why, for the record.", text),
    ...CONNECTION_FLAGS,
  },
  exits: CALL_EXITS,
  check: ({ values }) => checkConnection({ values }),
  examples: [
    {
      line: "imprest reservations release ID --tenant acme --reason agent-gone",
      says: "Free what it holds.",
    },
  ],
  run: (host, { values, positionals: [reservationId = ""] }) =>
    withSidecar(host, "reservations release", values, async (connection) => {
      if (values.tenant !== undefined) await findOpen(connection, values.tenant, reservationId);
      const request = { reservationId, idempotencyKey: "", reason: values.reason ?? "" };
      const reply = await connection.call(Service.release, request);
      host.stdout.write(
        values.json
          ? `${await reply.json()}\n`
          : showReleased(reply.message.released, inkFor(host)),
      );
      return 0;
    }),
});
