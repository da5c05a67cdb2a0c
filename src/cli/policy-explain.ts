/** `imprest policy explain`: which limits of a document apply to an operation, in which order, and why the others do not. */
import { parsePolicyBytes } from "../adapters/policy/parse.ts";
import type { Action, Subject } from "../core/operation.ts";
import {
  compilePolicy,
  type CompiledBreaker,
  type CompiledLimit,
  type CompiledLoop,
  type CompiledTenant,
} from "../core/policy/compile.ts";
import type { LimitShape, MatchRule, PeriodRule } from "../core/policy/document.ts";
import { NAME, NAME_ALLOWED, TENANT, TENANT_ALLOWED } from "../core/policy/level.ts";
import { levelReader } from "../core/scope.ts";
import { defineCommand, type Command } from "./command.ts";
import { required, toggle, type Reader } from "./flag.ts";
import type { Host } from "./host.ts";
import { inkFor, onOneLine, spellUnits, table, type Ink } from "./ink.ts";
import { ACTION_FLAGS, checkSubject, SUBJECT_FLAGS } from "./operation.ts";
import { EXIT_PROBLEMS, EXIT_UNREADABLE, readPolicyFile, spellProblem } from "./policy.ts";
import { matching, pair, tenantName } from "./reader.ts";
import { spellLength } from "./wire-time.ts";

const FIXED: ReadonlySet<string> = new Set(["workspace", "app", "workflow", "agent", "toolset"]);

/** In the order in which refusals are looked for. */
const KINDS = ["request", "breaker", "loop", "budget", "concurrency", "rate"] as const;

/** A limit, breaker or loop as it is shown. */
interface Line {
  readonly name: string;
  readonly kind: (typeof KINDS)[number];
  readonly of: "platform" | "tenant";
  readonly scope: string;
  readonly says: string;
  readonly mode: string;
  readonly depth: number;
  readonly order: number;
  /** "" where it applies. */
  readonly whyNot: string;
}

interface Question {
  readonly subject: Subject;
  readonly action: Action;
}

type Compiled = CompiledLimit | CompiledBreaker | CompiledLoop;

function linesOf(tenant: CompiledTenant, question: Question): readonly Line[] {
  const line = (compiled: Compiled, kind: Line["kind"], says: string): Line => ({
    name: compiled.name,
    kind,
    of: compiled.platform ? "platform" : "tenant",
    scope: compiled.scope.text(tenant.name, question.subject, question.action),
    says,
    mode: compiled.mode,
    depth: compiled.scope.depth,
    order: compiled.order,
    whyNot: whyNot(compiled, question),
  });
  return [
    ...tenant.limits.map((limit) =>
      line(limit, limit.rule.shape.kind, spellShape(limit.rule.shape, limit.meter)),
    ),
    ...tenant.breakers.map((breaker) => {
      const { errorsPpm, of, windowMs } = breaker.rule;
      return line(
        breaker,
        "breaker",
        `${errorsPpm / 10_000}% errors of ${of} in ${spellLength(windowMs)}`,
      );
    }),
    ...tenant.loops.map((loop) =>
      line(loop, "loop", `${loop.rule.repeats} equal calls in ${spellLength(loop.rule.windowMs)}`),
    ),
  ];
}

/** "match.workspace wants production, found staging", "per.run: there is none". */
function whyNot({ matcher, rule }: Compiled, { subject, action }: Question): string {
  const condition = matcher.whyNot(subject, action);
  const [part, ...rest] = condition.split(".");
  const level = rest.join(".");
  if (part !== "match") return condition === "" ? "" : `${condition}: the operation has none`;
  const { patterns = [] } = rule.match.find((each: MatchRule) => each.level === level) ?? {};
  const found = level === "tag" ? action.tags.join(", ") : levelReader(level)(subject, action);
  return `${condition} wants ${patterns.join(" or ")}, found ${found === "" ? "nothing" : found}`;
}

function spellShape(shape: LimitShape, meter: string): string {
  const units = (amount: number): string =>
    meter === "usd_micros"
      ? spellUnits(meter, BigInt(amount))
      : `${spellUnits(meter, BigInt(amount))} ${meter}`;
  switch (shape.kind) {
    case "rate":
      return `${units(shape.units)} every ${spellLength(shape.everyMs)}, burst ${spellUnits(meter, BigInt(shape.burst))}`;
    case "budget":
      return `${units(shape.units)} ${spellPeriod(shape.period)}`;
    case "concurrency":
      return `${shape.max} open reservations`;
    case "request":
      return `${units(shape.max)} in one operation`;
  }
}

function spellPeriod(period: PeriodRule): string {
  if (period.kind === "calendar") return `a ${period.unit}`;
  return period.kind === "length" ? `every ${spellLength(period.lengthMs)}` : "once";
}

/** Of dimensions, models and tools (S33). */
const VALUE = /^[A-Za-z0-9_.@:/+|,-]{1,256}$/;
const VALUE_ALLOWED = "1 to 256 of A-Z a-z 0-9 _ . @ : / + | , -";

/** No sidecar is there to refuse what it would: a level, or a kind, that no operation can have would explain nothing. */
const level: Reader<readonly [string, string]> = (written) => {
  const reading = pair("LEVEL=NAME, such as run=r-7")(written);
  if (!("value" in reading)) return reading;
  const [key, value] = reading.value;
  if (!NAME.test(key)) return { allowed: `a level of ${NAME_ALLOWED}` };
  const [pattern, allowed] = FIXED.has(key) ? [TENANT, TENANT_ALLOWED] : [VALUE, VALUE_ALLOWED];
  return pattern.test(value) ? reading : { allowed: `${key}=NAME, NAME ${allowed}` };
};

/** Requests first, rates last; of one kind the narrowest scope first, then the order of the document. */
const byPrecedence = (a: Line, b: Line): number =>
  KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || b.depth - a.depth || a.order - b.order;

export const policyExplain: Command = defineCommand({
  name: "policy explain",
  about:
    "Shows which limits of a document apply to an operation, in the order in which they are looked at, with their scopes, and why the others do not.",
  positionals: [{ name: "FILE", help: "the policy document, YAML or JSON" }],
  flags: {
    tenant: required("T", "The tenant.", tenantName),
    subject: { ...SUBJECT_FLAGS.subject, read: level },
    action: { ...ACTION_FLAGS.action, read: matching(NAME, NAME_ALLOWED) },
    name: { ...ACTION_FLAGS.name, placeholder: "MODEL", read: matching(VALUE, VALUE_ALLOWED) },
    tag: { ...ACTION_FLAGS.tag, read: matching(NAME, NAME_ALLOWED) },
    json: toggle("Print one JSON object."),
  },
  check: ({ values }) => checkSubject(values),
  exits: {
    0: "explained",
    1: "the document has problems, or does not know the tenant",
    2: "it cannot be read",
  },
  examples: [
    {
      line: "imprest policy explain policy.yaml --tenant acme --subject run=r-7 --action llm.completion --name gpt-4o",
      says: "What would a model call of this run be counted by?",
    },
  ],
  async run(host, { values, positionals: [file = ""] }) {
    const read = await readPolicyFile(host, file);
    if (read === undefined) return EXIT_UNREADABLE;
    const result = read.ok ? parsePolicyBytes(read.bytes) : read;
    if (!result.ok) {
      host.stderr.write(`${result.problems.map(spellProblem).join("\n")}\n`);
      return EXIT_PROBLEMS;
    }
    const tenant = compilePolicy(result.document, 1).tenant(values.tenant);
    if (tenant === undefined) {
      host.stderr.write(`imprest policy: no tenant ${values.tenant}, and no default_plan\n`);
      return EXIT_PROBLEMS;
    }
    const question = questionOf(values);
    const lines = linesOf(tenant, question);
    const report = { tenant, question, version: result.document.version, lines };
    host.stdout.write(values.json ? spellJson(report) : spellReport(report, host));
    return 0;
  },
});

interface Asked {
  readonly tenant: string;
  readonly subject: readonly (readonly [string, string])[];
  readonly action: string | undefined;
  readonly name: string | undefined;
  readonly tag: readonly string[];
}

function questionOf({ tenant, subject, action = "", name = "", tag }: Asked): Question {
  const dimensions = new Map(subject);
  const take = (level: string): string => {
    const value = dimensions.get(level) ?? "";
    dimensions.delete(level);
    return value;
  };
  const [workspace, app] = [take("workspace"), take("app")];
  const [workflow, agent, toolset] = [take("workflow"), take("agent"), take("toolset")];
  return {
    subject: { tenant, workspace, app, workflow, agent, toolset, dimensions },
    action: { kind: action, name, tags: tag, fingerprint: "" },
  };
}

interface Report {
  readonly tenant: CompiledTenant;
  readonly question: Question;
  readonly version: string;
  readonly lines: readonly Line[];
}

const applying = ({ lines }: Report): Line[] =>
  lines.filter((line) => line.whyNot === "").toSorted(byPrecedence);

function spellJson(report: Report): string {
  const { tenant, question, version, lines } = report;
  const { kind, name } = question.action;
  const shown = ({ depth: _depth, order: _order, whyNot: _whyNot, ...line }: Line) => line;
  return `${JSON.stringify({
    tenant: tenant.name,
    uid: tenant.uid,
    plan: tenant.plan,
    timezone: tenant.zone,
    version,
    blocked: tenant.blocked,
    allowed: tenant.allows(kind, name),
    applies: applying(report).map(shown),
    others: lines
      .filter((line) => line.whyNot !== "")
      .map((line) => ({ ...shown(line), because: line.whyNot })),
  })}\n`;
}

function spellReport(report: Report, host: Host): string {
  const ink = inkFor(host);
  const applies = applying(report);
  const others = report.lines.filter((line) => line.whyNot !== "");
  return (
    spellHead(report, ink) +
    (applies.length === 0
      ? "No limit applies: it is not counted.\n"
      : table(
          ["", "LIMIT", "KIND", "SCOPE", "SAYS", "MODE"].map((title) => ({ title })),
          applies.map((line, i) => [
            `${i + 1}`,
            line.name,
            line.kind,
            line.scope,
            line.says,
            line.mode,
          ]),
          ink,
        )) +
    (others.length === 0
      ? ""
      : `\n${table(
          ["DOES NOT APPLY", "KIND", "BECAUSE"].map((title) => ({ title })),
          others.map((line) => [line.name, line.kind, onOneLine(line.whyNot)]),
          ink,
        )}`)
  );
}

function spellHead({ tenant, question, version }: Report, ink: Ink): string {
  const { kind, name } = question.action;
  const plan = tenant.plan === "" ? "no plan" : `plan ${tenant.plan}`;
  const facts = [`tenant ${tenant.name}`, plan, tenant.zone, `policy ${version}`];
  const refusals: string[] = [];
  if (tenant.blocked !== "")
    refusals.push(`The tenant is ${tenant.blocked}: new operations are refused.`);
  const isAsked = kind !== "" || name !== "";
  if (isAsked && !tenant.allows(kind, name)) {
    refusals.push(`allow and deny do not let ${onOneLine([kind, name].join(" ").trim())} through.`);
  }
  return `${facts.join(", ")}\n${refusals.map((line) => `${ink("red", line)}\n`).join("")}\n`;
}
