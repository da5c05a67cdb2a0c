/** What the command is given by the machine that runs it; made from `process` by main.ts, by hand in tests. */

export interface Output {
  write(text: string): void;
  readonly isTty: boolean;
  /** Width of the terminal; `undefined` where there is none. */
  columns(): number | undefined;
}

export interface Host {
  /** What was typed after the program's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: Output;
  readonly stderr: Output;
  /** The package's folder, with a slash at its end: package.json and dist/imprest.binpb are found from here. */
  readonly root: URL;
  /**
   * Takes SIGTERM and SIGINT over: the first aborts the signal, a second ends the process at once with 1. A
   * command that never asks is ended by the first. To be called once.
   */
  stopSignal(): AbortSignal;
  /** Hears what nobody caught, rejections included. Without a listener the process ends with a stack trace. */
  onDefect(listener: (defect: unknown) => void): void;
}
