/** `imprest reservations`: what is held open by this sidecar, and giving one of it back by hand. */
import {
  type ListReservationsResponse,
  QuotaServiceService as Service,
  type Reservation,
  type Subject,
} from "../gen/imprest/v1/quota.ts";
import { showReleased } from "./answer.ts";
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
      let pageToken = values["page-token"] ?? "";
      // Without a page size all pages are shown; with --json each is a line of its own.
      for (let isFirst = true; ; isFirst = false) {
        const reply = await page(connection, subjectOf(values), size ?? PAGE_MAX, pageToken);
        const { reservations: listed, nextPageToken } = reply.message;
        if (values.json) host.stdout.write(`${await reply.json()}\n`);
        else if (isFirst || listed.length > 0) host.stdout.write(reservationTable(listed, ink));
        pageToken = nextPageToken;
        if (pageToken === "" || size !== undefined) break;
      }
      if (pageToken !== "" && !values.json) host.stdout.write(`more: --page-token ${pageToken}\n`);
      return 0;
    }),
});

const page = (
  connection: QuotaConnection,
  subject: Subject,
  pageSize: number,
  pageToken: string,
): Promise<Reply<ListReservationsResponse>> =>
  connection.call(Service.listReservations, { subject, pageSize, pageToken });

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

export const reservationsRelease: Command = defineCommand({
  name: "reservations release",
  about: "Gives an open reservation back unused, for a caller that will not do it any more.",
  positionals: [{ name: "ID", help: "the reservation, as `imprest reservations` lists it" }],
  flags: {
    tenant: SUBJECT_FLAGS.tenant,
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
