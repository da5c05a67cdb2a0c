/** Under which every metric of a sidecar can be made to show: a step that is told, and a limit that only watches. */
export const METERED_POLICY = `
default_plan: free
plans:
  free:
    limits:
      - {name: tokens, meter: tokens, budget: {units: 100, period: once, ttl: 1h}, at: [{used: 50%, notify: true}]}
      - {name: trial, meter: tokens, mode: shadow, budget: {units: 10, period: once, ttl: 1h}}
`;
