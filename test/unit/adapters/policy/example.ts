/** The contract's own example of a document; only the shortened hash of its API key is written out. */
export const EXAMPLE = `
revision: 12
mode: enforce
timezone: UTC
default_plan: free
dimensions: [run, session, user, conversation]
unpriced: deny
estimate: {output_tokens: 1024, bytes_per_token: 3.5}
require_usage: [llm.*]
prices:
  - {model: "gpt-4o-mini*", input: 0.15, output: 0.60, cache_read: 0.075}
  - {model: "gpt-4o*",      input: 2.50, output: 10.00, cache_read: 1.25}
  - {model: "claude-*", input: 3, output: 15, cache_read: 0.30, cache_write: 3.75, tiers: [{above: 200k, input: 6, output: 22.50}]}
  - {model: "web.search", call: 0.01}

limits:
  - {name: provider-month, meter: usd_micros, budget: {units: $5000, period: month}}
  - {name: provider-rpm, match: {action: llm.*}, per: [name], meter: requests, rate: {units: 500, every: 1m}}

plans:
  free:
    on_deny: {message: "The free plan's limit is reached.", url: "https://example.com/upgrade"}
    allow:
      llm.*: [gpt-4o-mini*]
      tool.*: [web.search, db.query]
      session.*: ["*"]
    limits:
      - {name: messages-per-minute, match: {action: llm.*}, meter: requests, rate: {units: 10, every: 1m, burst: 10}}
      - {name: messages-per-day,    match: {action: llm.*}, meter: requests, budget: {units: 100, period: day}}
      - {name: tokens-per-message,  match: {action: llm.*}, meter: tokens,   request: {max: 2000}}
      - {name: sessions,            match: {action: session.*}, concurrency: {max: 5}}
      - {name: tokens-per-month,    meter: tokens,   budget: {units: 500k, period: month}}
  pro:
    deny: {tool.*: [shell.*]}
    limits:
      - name: dollars-per-month
        meter: usd_micros
        budget: {units: $500, period: month}
        at:
          - {used: 80%, notify: true, caps: {max_output_tokens: 1024, notice: "80% of this month's budget is used"}}
          - {used: 95%, notify: true, caps: {fallback_model: gpt-4o-mini}}
      - name: dollars-per-run
        meter: usd_micros
        per: [run]
        budget: {units: $25, period: once, ttl: 24h}
      - name: session
        meter: usd_micros
        per: [session]
        mode: soft
        budget: {units: $10, period: once, ttl: 24h}
        at: [{used: 100%, caps: {fallback_model: gpt-4o-mini, notice: "Session budget used; going on with a smaller model"}}]
      - {name: steps-per-run, meter: requests, per: [run], budget: {units: 200, period: once, ttl: 24h}}
    breakers:
      - {name: tool-errors, match: {action: tool.*}, per: [name], errors: 50%, of: 20, window: 1m, open: 30s}
    loops:
      - {name: same-call, per: [run], repeats: 5, window: 10m}

tenants:
  acme:
    plan: pro
    timezone: America/New_York
    keys: [{id: k1, sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}]
    limits:
      - {name: dollars-per-month, budget: {units: $2000}}
      - {name: doc-analysis, match: {workspace: production, workflow: document-analysis}, meter: usd_micros, budget: {units: $800, period: month}}
      - {name: staging, match: {workspace: staging}, meter: usd_micros, budget: {units: $300, period: month}}
  mallory: {plan: free, suspended: true}
  oldco: {deleted: true}
  globex: {uid: t-1f3a, plan: pro}
`;

const HEAD = "apiVersion: imprest.dev/v1\nkind: Policy\n";

/** A document from its further lines. */
export const policyText = (lines: string): string => HEAD + lines.replace(/^\n/, "");
