/** A bare HTTPS client for tests: it retries nothing, so that a test sees what a client sees. */
import { Agent, request as httpsRequest } from 'node:https';
import { readKubeconfigCredentials } from '../../control/pki/kubeconfig.ts';

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}
export interface Api {
  /** Rejects when no whole answer came: then the fate of a write is not known. */
  call(
    method: string,
    path: string,
    body?: unknown,
    options?: { readonly timeoutMs?: number; readonly type?: string; readonly isText?: boolean },
  ): Promise<Answer>;
  close(): void;
}

const DEFAULT_TIMEOUT_MS = 5_000;

/** A client for the server at this port, with the credentials of the kubeconfig, or with none. */
export async function connectApi(
  kubeconfig: string,
  port: number,
  { isAnonymous = false }: { readonly isAnonymous?: boolean } = {},
): Promise<Api> {
  const { authority, certificate, key } = await readKubeconfigCredentials(kubeconfig);
  const agent = new Agent({ keepAlive: true, ca: authority, ...(!isAnonymous && { cert: certificate, key }) });
  return {
    call: (method, path, body, { timeoutMs = DEFAULT_TIMEOUT_MS, type = 'application/json', isText = false } = {}) =>
      new Promise((resolve, reject) => {
        const text = body === undefined ? undefined : JSON.stringify(body);
        const request = httpsRequest(
          {
            host: '127.0.0.1',
            port,
            method,
            path,
            agent,
            signal: AbortSignal.timeout(timeoutMs),
            headers: {
              'content-type': type,
              accept: 'application/json',
              // Without it Node sends the body of a DELETE as what follows the request.
              ...(text !== undefined && { 'content-length': String(Buffer.byteLength(text)) }),
            },
          },
          response => {
            let answer = '';
            response.setEncoding('utf8');
            response.on('data', chunk => {
              answer += chunk;
            });
            response.on('error', reject);
            response.on('close', () => {
              if (isText && response.complete) return resolve({ status: response.statusCode ?? 0, body: answer });
              if (!response.complete) return reject(new Error('the answer broke off'));
              try {
                resolve({ status: response.statusCode ?? 0, body: answer ? JSON.parse(answer) : undefined });
              } catch {
                resolve({ status: response.statusCode ?? 0, body: answer });
              }
            });
          },
        );
        request.on('error', reject);
        request.end(text);
      }),
    close: () => agent.destroy(),
  };
}
