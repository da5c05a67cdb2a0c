/** What injection reads of a pod and of its namespace. Members that it does not know it never touches. */

export type Json = null | boolean | number | string | readonly Json[] | JsonMembers;

export interface JsonMembers {
  readonly [key: string]: Json;
}

/** Keys are the caller's: "__proto__" is an ordinary one. */
export type Texts = ReadonlyMap<string, string>;

export interface Metadata {
  /** With labels and annotations, whether there is a member at all decides how a patch adds to it. */
  readonly labels: Texts | undefined;
  readonly annotations: Texts | undefined;
}

/** The controller that made a pod, or the pod itself: whom an Event is about. */
export interface Owner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export interface Variable {
  readonly name: string;
  readonly value: string | undefined;
}

export interface Mount {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly: boolean;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly env: readonly Variable[] | undefined;
  readonly volumeMounts: readonly Mount[] | undefined;
  /** Of TCP, as far as they are said. */
  readonly ports: readonly number[];
  /** As it stands in the pod. */
  readonly whole: JsonMembers;
}

export interface Pod extends Metadata {
  /** "" where the API server has yet to make one up; then `generateName` is what it begins with. */
  readonly name: string;
  readonly generateName: string;
  readonly owner: Owner | undefined;
  readonly hostNetwork: boolean;
  /** spec.os.name and the node selector's word; "" for the ordinary one. */
  readonly os: string;
  /** It is over when its containers have ended: restartPolicy Never or OnFailure. */
  readonly isToEnd: boolean;
  /** terminationGracePeriodSeconds. */
  readonly graceSeconds: number;
  readonly containers: readonly Container[];
  readonly initContainers: readonly Container[] | undefined;
  /** By name, each as it stands in the pod. */
  readonly volumes: ReadonlyMap<string, Json> | undefined;
}

export interface Namespace extends Metadata {
  readonly name: string;
}
