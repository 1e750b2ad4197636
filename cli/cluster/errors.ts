/** The command was given something that cannot be: told in one line, exit code 1 as kubectl's. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code = 'USAGE';
}
