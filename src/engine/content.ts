/**
 * Whether two requests are the same one (S20, S28): field by field, amounts and maps in any order, `verbose`
 * and the key itself not looked at.
 */
import type { Amount, ModelUsage, Operation } from "../core/operation.ts";

type Fields = readonly (readonly [name: string, value: unknown])[];

const amountsText = (amounts: readonly Amount[]): string =>
  amounts
    .map(({ meter, units }) => `${meter}=${units}`)
    .sort()
    .join(";");

function usageText(usage: ModelUsage | undefined): string {
  if (!usage) return "";
  const { model, inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens } = usage;
  const { reasoningTokens, inputBytes, outputBytes } = usage;
  const read = `${inputTokens}|${cacheReadTokens}|${cacheWriteTokens}|${inputBytes}`;
  return `${model}|${read}|${outputTokens}|${reasoningTokens}|${outputBytes}`;
}

const sorted = (map: ReadonlyMap<string, string>): unknown =>
  [...map].sort(([a], [b]) => (a < b ? -1 : 1));

function fieldsOf(op: Operation): Fields {
  switch (op.op) {
    case "commit":
      return [
        ["reservation_id", op.reservationId],
        ["amounts", amountsText(op.amounts)],
        ["usage", usageText(op.usage)],
        ["outcome", op.outcome],
        ["partial", op.partial],
        ["labels", sorted(op.labels)],
        ["latency", op.latencyMs],
        ["usage_source", op.usageSource],
      ];
    case "release":
      return [
        ["reservation_id", op.reservationId],
        ["reason", op.reason],
      ];
    case "extend":
      return [
        ["reservation_id", op.reservationId],
        ["by", op.byMs],
        ["add", amountsText(op.add)],
      ];
    case "check":
    case "reserve":
    case "consume":
      return requestFields(op);
  }
}

function requestFields(op: Extract<Operation, { op: "check" | "reserve" | "consume" }>): Fields {
  const { dimensions, ...levels } = op.subject;
  const common: Fields = [
    ["subject", [levels, sorted(dimensions)]],
    ["action", [op.action.kind, op.action.name, [...op.action.tags].sort(), op.action.fingerprint]],
    ["amounts", amountsText(op.amounts)],
    ["usage", usageText(op.usage)],
  ];
  if (op.op === "check") return common;
  if (op.op === "reserve") {
    return [
      ...common,
      ["ttl", op.ttlMs],
      ["dry_run", op.dryRun],
      ["best_effort", op.bestEffort],
      ["release_on_disconnect", op.releaseOnDisconnect ?? false],
    ];
  }
  return [
    ...common,
    ["labels", sorted(op.labels)],
    ["usage_source", op.usageSource],
    ["already_spent", op.alreadySpent],
    ["outcome", op.outcome],
  ];
}

/** The request as texts, one for each of its fields. */
export const contentOf = (op: Operation): readonly string[] =>
  fieldsOf(op).map(([, value]) => JSON.stringify(value) ?? "");

/** The first field in which `op` differs from what was remembered; `undefined`: it is the same request. */
export function differingField(op: Operation, remembered: readonly string[]): string | undefined {
  const fields = fieldsOf(op);
  const at = fields.findIndex(([, value], i) => (JSON.stringify(value) ?? "") !== remembered[i]);
  return at < 0 ? undefined : (fields[at]?.[0] ?? "");
}

type Statement = { readonly amounts: readonly Amount[]; readonly usage: ModelUsage | undefined };

/**
 * What a commit says was used: equal texts say the same (S20). It is kept for long, so it is joined: a template
 * would keep its parts, at six times the room.
 */
export const statementOf = ({ amounts, usage }: Statement): string =>
  [amountsText(amounts), usageText(usage)].join("\n");
