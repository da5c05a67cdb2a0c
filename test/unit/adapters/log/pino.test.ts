import { expect, test } from "vitest";
import { createLog } from "../../../../src/adapters/log/pino.ts";

test("a line is one JSON object with level by name, time, holder and message", () => {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line) };
  const log = createLog({ level: "info", holder: "pod-1", stream });
  log.debug({}, "unheard");
  log.info({ listen: ["unix:/a", "127.0.0.1:1"] }, "serving");
  log.error({ problems: ["x\ny"] }, "broken");
  const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(parsed).toMatchObject([
    { level: "info", holder: "pod-1", listen: ["unix:/a", "127.0.0.1:1"], msg: "serving" },
    { level: "error", holder: "pod-1", problems: ["x\ny"], msg: "broken" },
  ]);
  expect(lines.every((line) => line.indexOf("\n") === line.length - 1)).toBe(true);
  expect(parsed.map(({ time }) => new Date(String(time)).toISOString() === time)).toEqual([
    true,
    true,
  ]);
});
