/** What an agent answers where no stream comes about: made into an error that clients can read. */
import type { Status } from '../../api/generated/types.ts';
import { ApiError, type Reason } from '../../api/status.ts';

const REASONS: Readonly<Record<number, Reason>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

/** An agent's failure: its Status if it sent one, else its text. */
export function statusOfText(code: number, text: string): ApiError {
  try {
    const status = JSON.parse(text) as Status;
    if (status.kind === 'Status') return ApiError.fromStatus(status);
  } catch {
    // Plain text then.
  }
  return new ApiError(REASONS[code] ?? 'InternalError', text.trim() || `the agent answered ${code}`, { code });
}

/** The beginning of a body as text. */
export async function readAll(body: AsyncIterable<Uint8Array>, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.byteLength;
    if (size >= bytesMax) break;
  }
  return Buffer.concat(chunks).subarray(0, bytesMax).toString();
}
