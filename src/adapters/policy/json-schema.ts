/** The shape of a policy document as a JSON Schema, for editors; made from the schema that the validator uses. */
import * as z from "zod";
import { NAMED_PARTS, POLICY_SCHEMA } from "./schema.ts";

type Json = Readonly<Record<string, unknown>>;

const SCHEMA_ID = "https://imprest.dev/schema/v1/policy.schema.json";

/** Draft 2020-12. What a limit may leave out since its plan says it, and what names refer to, it cannot tell. */
export function policyJsonSchema(): Json {
  const parts = new Map<string, string>();
  const $defs: Record<string, unknown> = {};
  // Parts come smallest first: each is written with references to those before it.
  for (const [name, part] of Object.entries(NAMED_PARTS)) {
    const { description: _, ...schema } = referring(convert(part), parts) as Json;
    parts.set(JSON.stringify(schema), name);
    $defs[name] = schema;
  }
  const document = referring(convert(POLICY_SCHEMA), parts) as Json;
  const $schema = "https://json-schema.org/draft/2020-12/schema";
  return { $schema, $id: SCHEMA_ID, title: "Imprest policy", ...document, $defs };
}

/** `value` with a reference in the place of each part that has a name, from the innermost outwards. */
function referring(value: unknown, parts: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(value)) return value.map((item) => referring(item, parts));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [key, referring(item, parts)]);
  const { description, ...schema } = Object.fromEntries(entries) as Json;
  const said = description === undefined ? {} : { description };
  const name = parts.get(JSON.stringify(schema));
  return name === undefined ? { ...said, ...schema } : { ...said, $ref: `#/$defs/${name}` };
}

function convert(part: z.ZodType): Json {
  const { $schema: _, ...schema } = z.toJSONSchema(part, {
    io: "output",
    // Tables are Maps, which JSON Schema does not have: they are written as the objects that they are in a file.
    unrepresentable: "any",
    override({ zodSchema, jsonSchema }) {
      if (!(zodSchema instanceof z.ZodMap)) return;
      const propertyNames = convert(zodSchema.keyType as z.ZodType);
      const additionalProperties = convert(zodSchema.valueType as z.ZodType);
      Object.assign(jsonSchema, { type: "object", propertyNames, additionalProperties });
    },
  });
  return schema;
}
