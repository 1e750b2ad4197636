/** What went wrong, in the words and with the exit code of kubectl. */
import { ApiError } from '../../control/api/status.ts';
import { ConnectionLostError, NotSentError } from '../../control/client/https.ts';

/** A failure whose text is printed as it is. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly code = 'COMMAND_FAILED';
  readonly exitCode: number;
  /** Something was typed wrong. */
  readonly isUsage: boolean;

  constructor(
    text: string,
    options: { readonly exitCode?: number; readonly isUsage?: boolean; readonly cause?: unknown } = {},
  ) {
    super(text, { cause: options.cause });
    this.exitCode = options.exitCode ?? 1;
    this.isUsage = options.isUsage ?? false;
  }
}

/** `error: …`: what was asked for makes no sense, or cannot be done. */
export function failure(text: string, cause?: unknown): CommandError {
  return new CommandError(`error: ${text}`, { cause });
}

/** What to print of an error, and the exit code to end with. Unknown errors are programmer errors and are thrown on. */
export function describeError(error: unknown, server: string | undefined): { text: string; exitCode: number } {
  if (error instanceof CommandError) return { text: error.message, exitCode: error.exitCode };
  if (error instanceof ApiError) return { text: describeApiError(error), exitCode: 1 };
  if (error instanceof NotSentError || error instanceof ConnectionLostError) {
    return { text: describeConnectionError(error, server), exitCode: 1 };
  }
  throw error;
}

/** `context` is what was being done: `error when creating "f.yaml"`. */
export function describeApiError(error: ApiError, context = ''): string {
  if (error.reason === 'Unauthorized') return `error: You must be logged in to the server (${error.message})`;
  if (error.reason === 'Invalid') return describeInvalid(error);
  const reason = error.reason ? ` (${error.reason})` : '';
  return `Error from server${reason}: ${context ? `${context}: ` : ''}${error.message}`;
}

/** As {@link describeApiError}; among others, what an object is invalid for is told in the server's words. */
export function describeOneOfMany(error: ApiError, context = ''): string {
  if (error.reason !== 'Invalid') return describeApiError(error, context);
  return `Error from server (Invalid): ${context ? `${context}: ` : ''}${error.message}`;
}

/** A mistake among others: without the word for what a command ends with. */
export const bareMessage = ({ message }: CommandError): string => message.replace(/^error: /, '');

function describeInvalid({ details, message }: ApiError): string {
  const isNamed = Boolean(details?.kind || details?.name);
  const subject = isNamed
    ? `The ${details?.kind ?? ''} ${JSON.stringify(details?.name ?? '')} is invalid`
    : 'The request is invalid';
  const causes = [...new Set((details?.causes ?? []).map(cause => `${cause.field}: ${cause.message}`))];
  if (causes.length === 0) return isNamed ? subject : `${subject}: ${message}`;
  if (causes.length === 1) return `${subject}: ${causes[0]}`;
  return `${subject}: \n${causes.map(cause => `* ${cause}`).join('\n')}`;
}

function describeConnectionError(error: Error, server: string | undefined): string {
  const host = server === undefined ? '' : URL.parse(server)?.host || server;
  const code = codeOf(error);
  switch (code) {
    case 'ECONNREFUSED':
      return `The connection to the server ${host} was refused - did you specify the right host or port?`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `Unable to connect to the server: dial tcp: lookup ${host.replace(/:\d+$/, '')}: no such host`;
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return 'Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by unknown authority';
    case 'CERT_HAS_EXPIRED':
      return 'Unable to connect to the server: tls: failed to verify certificate: x509: certificate has expired or is not yet valid';
    default:
      return `Unable to connect to the server: ${error.message}`;
  }
}

/** The system's or OpenSSL's code at the bottom of an error. */
function codeOf(error: unknown): string | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current instanceof AggregateError && current.errors.length > 0) return codeOf(current.errors[0]);
    const code: unknown = 'code' in current ? current.code : undefined;
    if (typeof code === 'string' && code !== 'REQUEST_NOT_SENT' && code !== 'CONNECTION_LOST') return code;
  }
  return undefined;
}
