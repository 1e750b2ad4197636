/** The command was given something that cannot be: told in one line, exit code 1 as kubectl's. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code = 'USAGE';
}

/** A process of the cluster did not come up. */
export class StartError extends Error {
  override readonly name = 'StartError';
  readonly code = 'CLUSTER_START';
  readonly log: string;
  constructor(process: string, what: string, log: string) {
    super(`${process} ${what}`);
    this.log = log;
  }
}
