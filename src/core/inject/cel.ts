/**
 * Templates as expressions of CEL, the API server's language for policies.
 *
 *   CE1  A template reads the same in CEL as in JSON. Objects are written with the types of the pod's schema
 *        (`Object.spec.volumes{…}`), so that a member that pods do not have is an error when the policy is made.
 */
import { isExpression, type Template } from "./template.ts";

/** Members whose keys are the caller's: maps to CEL, not objects. */
const MAPS = new Set(["labels", "annotations", "requests", "limits"]);

/** `type`: "Object.spec.volumes" for an object that is one of a pod's volumes. */
export function celOf(template: Template, type: string): string {
  if (template === null) return "null";
  if (isExpression(template)) return template.cel;
  if (typeof template === "string") return celText(template);
  if (typeof template !== "object") return String(template);
  if (isList(template)) return `[${template.map((item) => celOf(item, type)).join(", ")}]`;
  const members = Object.entries(template);
  if (MAPS.has(type.split(".").at(-1) ?? "")) {
    return `{${members.map(([key, part]) => `${celText(key)}: ${celOf(part, type)}`).join(", ")}}`;
  }
  return `${type}{${members.map(([key, part]) => `${key}: ${celOf(part, `${type}.${key}`)}`).join(", ")}}`;
}

const isList = (template: Template): template is readonly Template[] => Array.isArray(template);

/** JSON's escapes are CEL's, but for the slash that JSON may leave as it is. */
export const celText = (text: string): string => JSON.stringify(text);

/** A list of texts. */
export const celTexts = (texts: readonly string[]): string => `[${texts.map(celText).join(", ")}]`;
