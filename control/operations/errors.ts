/** A failure that an operator has to deal with; the message says how. */

/** Exit code of a master that must not be started again as it is. */
export const EXIT_DO_NOT_RESTART = 3;

export class OperationError extends Error {
  override readonly name = 'OperationError';
  readonly code = 'OPERATION_FAILED';
  readonly exitCode: number;
  constructor(message: string, options: { readonly exitCode?: number; readonly cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.exitCode = options.exitCode ?? 1;
  }
}

/** The stable code of whatever was thrown; empty where it has none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
