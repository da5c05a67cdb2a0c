/** Single calls by hand: check, reserve, commit, release, extend, consume, explain. */
import {
  QuotaServiceService as Service,
  type ReleaseResponse,
  type Verdict,
} from "../gen/imprest/v1/quota.ts";
import {
  showCommit,
  showConsume,
  showExplain,
  showExtend,
  showReleased,
  showReserve,
  showVerdict,
  isAllowed,
} from "./answer.ts";
import type { Method } from "./client.ts";
import { defineCommand, type Command, type Example } from "./command.ts";
import type { Problem } from "./configuration.ts";
import {
  CALL_EXITS,
  checkConnection,
  CONNECTION_FLAGS,
  DECISION_EXITS,
  withSidecar,
} from "./connection.ts";
import { optional, required, toggle, type Flags, type Values } from "./flag.ts";
import { inkFor, type Ink } from "./ink.ts";
import {
  ACTION_FLAGS,
  actionOf,
  AMOUNT_FLAGS,
  checkSubject,
  LABEL_FLAG,
  OUTCOME_FLAG,
  outcomeOf,
  SOURCE_FLAG,
  sourceOf,
  SUBJECT_FLAGS,
  subjectOf,
} from "./operation.ts";
import { duration, text } from "./reader.ts";
import { wireDuration } from "./wire-time.ts";

const EXIT_DENIED = 3;

const A_DAY = 86_400_000;

interface CallParts<F extends Flags, Request, Response> {
  readonly name: string;
  readonly about: string;
  /** Beyond those of the connection. */
  readonly flags: F;
  readonly check?: (values: Partial<Values<F>>) => readonly Problem[];
  readonly examples: readonly Example[];
  readonly method: Method<Request, Response>;
  readonly request: (values: Values<F>) => Request;
  readonly show: (answer: Response, ink: Ink) => string;
  /** The verdict on what was asked; absent where the call decides nothing. */
  readonly verdict?: (answer: Response) => Verdict | undefined;
}

function defineCall<F extends Flags, Request, Response>(
  parts: CallParts<F, Request, Response>,
): Command {
  const { name, about, examples, method, verdict } = parts;
  return defineCommand({
    name,
    about,
    examples,
    flags: { ...parts.flags, ...CONNECTION_FLAGS },
    exits: verdict === undefined ? CALL_EXITS : DECISION_EXITS,
    check: ({ values }) => [...checkConnection({ values }), ...(parts.check?.(values) ?? [])],
    run: (host, { values }) =>
      withSidecar(host, name, values, async (connection) => {
        const reply = await connection.call(method, parts.request(values));
        const answer = reply.message;
        host.stdout.write(
          values.json ? `${await reply.json()}\n` : parts.show(answer, inkFor(host)),
        );
        return verdict === undefined || isAllowed(verdict(answer)) ? 0 : EXIT_DENIED;
      }),
  });
}

const KEY_FLAG = optional(
  "KEY",
  "Idempotency key: the same call under the same key is answered, not repeated.",
  text,
);
const VERBOSE_FLAG = toggle("Show every limit that applies.");
const RESERVATION_FLAG = required("ID", "The reservation, as reserve printed it.", text);
/** Accepted so that all calls of a script may be written alike: a reservation knows its tenant. */
const ITS_TENANT_FLAG = optional(
  "T",
  "The reservation's tenant; its id says it too, so it may be left out.",
  text,
);

const REQUEST_FLAGS = { ...SUBJECT_FLAGS, ...ACTION_FLAGS, ...AMOUNT_FLAGS };

const requestOf = (values: Values<typeof REQUEST_FLAGS>) => ({
  subject: subjectOf(values),
  action: actionOf(values),
  amounts: values.amount,
  usage: values.usage,
});

export const check = defineCall({
  name: "check",
  about: "Asks whether an operation would be allowed now. Holds and charges nothing.",
  check: checkSubject,
  flags: { ...REQUEST_FLAGS, verbose: VERBOSE_FLAG },
  method: Service.check,
  request: (values) => ({ ...requestOf(values), verbose: values.verbose }),
  show: ({ verdict }, ink) => showVerdict(verdict, [], ink),
  verdict: ({ verdict }) => verdict,
  examples: [
    {
      line: "imprest check --tenant acme --action llm.completion --usage model=gpt-4o,input=800,output=200",
      says: "May acme make this call?",
    },
    {
      line: "imprest check --tenant acme --subject run=r-7 --action tool.call --name web.search --verbose",
      says: "The same for a tool, with every limit that applies.",
    },
  ],
});

export const reserve = defineCall({
  name: "reserve",
  about:
    "Holds the estimate of an operation in every limit that applies, or in none. What is held is free again when the reservation expires.",
  check: checkSubject,
  flags: {
    ...REQUEST_FLAGS,
    ttl: optional(
      "DURATION",
      "How long it is held: 1s to 24h. Default of the sidecar: 60s.",
      duration(1_000, A_DAY),
    ),
    key: KEY_FLAG,
    "best-effort": toggle("Accept less than asked."),
    "dry-run": toggle("Evaluate only."),
    verbose: VERBOSE_FLAG,
  },
  method: Service.reserve,
  request: (values) => ({
    ...requestOf(values),
    ttl: values.ttl === undefined ? undefined : wireDuration(values.ttl),
    idempotencyKey: values.key ?? "",
    dryRun: values["dry-run"],
    bestEffort: values["best-effort"],
    releaseOnDisconnect: false,
    verbose: values.verbose,
  }),
  show: showReserve,
  verdict: ({ verdict }) => verdict,
  examples: [
    {
      line: "imprest reserve --tenant acme --action llm.completion --usage model=gpt-4o,input=800,output=1k --ttl 2m",
      says: "Hold what this call may cost at most.",
    },
    {
      line: "id=$(imprest reserve --tenant acme --amount tokens=1500 --json | jq -r .reservationId)",
      says: "Keep the reservation's id.",
    },
  ],
});

export const commit = defineCall({
  name: "commit",
  about:
    "Settles a reservation with what was really used. Meters that are not stated are charged as they were reserved; 0 has to be said.",
  flags: {
    reservation: RESERVATION_FLAG,
    tenant: ITS_TENANT_FLAG,
    ...AMOUNT_FLAGS,
    key: KEY_FLAG,
    partial: toggle("A running total: charge up to it, keep the rest open, renew the expiry."),
    outcome: OUTCOME_FLAG,
    "usage-source": SOURCE_FLAG,
    latency: optional("DURATION", "How long the call took.", duration(0, 30 * A_DAY)),
    label: LABEL_FLAG,
  },
  method: Service.commit,
  request: (values) => ({
    reservationId: values.reservation,
    amounts: values.amount,
    usage: values.usage,
    idempotencyKey: values.key ?? "",
    outcome: outcomeOf(values.outcome),
    partial: values.partial,
    labels: new Map(values.label),
    latency: values.latency === undefined ? undefined : wireDuration(values.latency),
    usageSource: sourceOf(values["usage-source"]),
  }),
  show: showCommit,
  examples: [
    {
      line: "imprest commit --reservation $id --usage model=gpt-4o,input=812,output=167",
      says: "Charge what the provider reported.",
    },
    {
      line: "imprest commit --reservation $id --amount tokens=300 --partial",
      says: "300 so far, and still going on.",
    },
  ],
});

export const release = defineCall({
  name: "release",
  about: "Gives a reservation back unused.",
  flags: {
    reservation: RESERVATION_FLAG,
    tenant: ITS_TENANT_FLAG,
    key: KEY_FLAG,
    reason: optional("TEXT", "Why, for the record.", text),
  },
  method: Service.release,
  request: (values) => ({
    reservationId: values.reservation,
    idempotencyKey: values.key ?? "",
    reason: values.reason ?? "",
  }),
  show: ({ released }: ReleaseResponse, ink) => showReleased(released, ink),
  examples: [{ line: "imprest release --reservation $id", says: "The call was never made." }],
});

export const extend = defineCall({
  name: "extend",
  about: "Pushes the expiry of a reservation out, and may hold more in it, all or nothing.",
  flags: {
    reservation: RESERVATION_FLAG,
    tenant: ITS_TENANT_FLAG,
    by: optional("DURATION", "Added to the expiry.", duration(0, A_DAY)),
    amount: { ...AMOUNT_FLAGS.amount, help: "Hold this much more: tokens=500." },
    key: KEY_FLAG,
  },
  method: Service.extend,
  request: (values) => ({
    reservationId: values.reservation,
    by: values.by === undefined ? undefined : wireDuration(values.by),
    add: values.amount,
    idempotencyKey: values.key ?? "",
  }),
  show: showExtend,
  verdict: ({ verdict }) => verdict,
  examples: [
    { line: "imprest extend --reservation $id --by 2m", says: "The call takes longer." },
    {
      line: "imprest extend --reservation $id --by 30s --amount tokens=500",
      says: "Longer, and more than was thought.",
    },
  ],
});

export const consume = defineCall({
  name: "consume",
  about: "Reserves and commits in one call, where the cost is known.",
  check: checkSubject,
  flags: {
    ...REQUEST_FLAGS,
    key: KEY_FLAG,
    "already-spent": toggle("It has happened: charge it, refuse nothing."),
    outcome: OUTCOME_FLAG,
    "usage-source": SOURCE_FLAG,
    label: LABEL_FLAG,
    verbose: VERBOSE_FLAG,
  },
  method: Service.consume,
  request: (values) => ({
    ...requestOf(values),
    idempotencyKey: values.key ?? "",
    labels: new Map(values.label),
    verbose: values.verbose,
    usageSource: sourceOf(values["usage-source"]),
    alreadySpent: values["already-spent"],
    outcome: outcomeOf(values.outcome),
  }),
  show: showConsume,
  verdict: ({ verdict }) => verdict,
  examples: [
    {
      line: "imprest consume --tenant acme --action tool.call --name web.search",
      says: "One search, at its price per call.",
    },
    {
      line: "imprest consume --tenant acme --amount usd_micros='$0.25' --already-spent",
      says: "Money that is gone: charge it in any case.",
    },
  ],
});

export const explain = defineCall({
  name: "explain",
  about:
    "Shows the limits that apply to an operation, what each would say now, and what is counted. Holds and charges nothing.",
  check: checkSubject,
  flags: REQUEST_FLAGS,
  method: Service.explain,
  request: requestOf,
  show: showExplain,
  verdict: ({ verdict }) => verdict,
  examples: [
    {
      line: "imprest explain --tenant acme --subject workflow=chat run=r-7 --action llm.completion --name gpt-4o",
      says: "Which limits would this run meet?",
    },
  ],
});
