/** A call that ended with a status other than OK. */
export class CallError extends Error {
  override readonly name = "CallError";
  /** "UNAVAILABLE". */
  readonly code: string;

  /** `message` is one line: code, reason, what the sidecar said. */
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}
