/** Asks processes of a local cluster how they are. */
import { Agent, request as httpsRequest } from 'node:https';
import type { Credentials } from '../../control/pki/kubeconfig.ts';
import { HOST } from './layout.ts';

const REQUEST_TIMEOUT_MS = 5_000;

/**
 * Each master is asked twice a second: on a connection that stays, as a new one costs it four times what the answer does. An
 * idle one holds up nobody's end.
 */
const checks = new Agent({ keepAlive: true, maxFreeSockets: 1 });

/** True if the master whose API is at this port is ready to serve. */
export const isReady = (port: number) =>
  get(port, '/readyz', {}, checks).then(
    ({ status }) => status === 200,
    () => false,
  );

/** True if the node reports itself Ready. */
export async function isNodeReady(port: number, name: string, credentials: Credentials): Promise<boolean> {
  try {
    const { status, text } = await get(port, `/api/v1/nodes/${name}`, credentials);
    if (status !== 200) return false;
    const node = JSON.parse(text) as { status?: { conditions?: { type: string; status: string }[] } };
    return (
      node.status?.conditions?.some(condition => condition.type === 'Ready' && condition.status === 'True') ?? false
    );
  } catch {
    return false;
  }
}

function get(
  port: number,
  path: string,
  credentials: Partial<Credentials>,
  agent: Agent | false = false,
): Promise<{ status: number; text: string }> {
  return new Promise((resolvePromise, reject) => {
    const request = httpsRequest(
      {
        host: HOST,
        port,
        path,
        agent,
        timeout: REQUEST_TIMEOUT_MS,
        // Readiness is no secret and proves nothing: before the first start there is no authority to check against.
        rejectUnauthorized: credentials.authority !== undefined,
        ...(credentials.authority !== undefined && { ca: credentials.authority }),
        ...(credentials.certificate !== undefined && { cert: credentials.certificate, key: credentials.key }),
        headers: { accept: 'application/json' },
      },
      response => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolvePromise({ status: response.statusCode ?? 0, text }));
        response.on('error', reject);
      },
    );
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', reject);
    request.end();
  });
}
