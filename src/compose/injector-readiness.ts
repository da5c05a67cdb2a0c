/** What /readyz of the injector says, and why. */
import type { HealthCheck } from "../adapters/http/server.ts";
import type { Certificates } from "../adapters/kubernetes/certificates.ts";
import type { Watched } from "../adapters/kubernetes/watched.ts";

export interface InjectorReadiness {
  drain(): void;
  /** `problem`: of the configuration that was not applied; "": it was. */
  reloaded(problem: string): void;
  readonly checks: () => readonly HealthCheck[];
}

export function injectorReadiness(
  namespaces: Pick<Watched<unknown>, "copy">,
  certificates: Pick<Certificates, "isInSync" | "problem">,
): InjectorReadiness {
  let isDraining = false;
  let reloadProblem = "";
  return {
    drain: () => {
      isDraining = true;
    },
    reloaded: (problem) => {
      reloadProblem = problem;
    },
    checks() {
      const known = namespaces.copy();
      return [
        {
          name: "namespaces",
          ok: known !== undefined,
          detail: known === undefined ? "not listed yet" : `${known.size} known`,
          decides: true,
        },
        {
          name: "certificate",
          ok: certificates.isInSync(),
          detail: certificates.problem() || "trusted by the webhook's caBundle",
          decides: true,
        },
        {
          name: "drain",
          ok: !isDraining,
          detail: isDraining ? "draining" : "not draining",
          decides: true,
        },
        {
          name: "reload",
          ok: reloadProblem === "",
          detail: reloadProblem || "the configuration is the last one seen",
          decides: false,
        },
      ];
    },
  };
}
