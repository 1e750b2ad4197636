/** The API server under load: creates, gets and lists per second over HTTP/2, through the stable address of a cluster. */

import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { readKubeconfigCredentials } from '../../control/pki/kubeconfig.ts';
import { closedLoop, row } from './measure.ts';

const SESSIONS = 4;
const CONCURRENCY = 64;
const CREATES = 10_000;
const GETS = 20_000;
const LISTS = 400;
const LIST_SIZE = 500;
const NAMESPACE = 'bench';

/** Prints its table; the cluster must be up and otherwise idle. */
export async function benchApi(kubeconfig: string, port: number, print: (line: string) => void): Promise<void> {
  const { authority, certificate, key } = await readKubeconfigCredentials(kubeconfig);
  const sessions = Array.from({ length: SESSIONS }, () =>
    connect(`https://127.0.0.1:${port}`, { ca: authority, cert: certificate, key }),
  );
  await Promise.all(sessions.map(session => once(session, 'connect')));
  const call = (sequence: number, method: string, path: string, body?: string) =>
    exchange(sessions[sequence % SESSIONS] as ClientHttp2Session, {
      method,
      path,
      ...(body !== undefined && { body }),
    });
  const path = `/api/v1/namespaces/${NAMESPACE}/configmaps`;
  await call(
    0,
    'POST',
    '/api/v1/namespaces',
    JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } }),
  );
  const object = (name: string) =>
    JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { text: 'x'.repeat(512) } });
  const run = Date.now().toString(36);

  print(
    row(
      `create ConfigMaps, ${CONCURRENCY} at once`,
      await closedLoop({
        concurrency: CONCURRENCY,
        total: CREATES,
        operation: i => call(i, 'POST', path, object(`${run}-${i}`)),
      }),
    ),
  );
  print(
    row(
      'create ConfigMaps, one at a time',
      await closedLoop({
        concurrency: 1,
        total: 500,
        operation: i => call(i, 'POST', path, object(`${run}-one-${i}`)),
      }),
    ),
  );
  print(
    row(
      `get a ConfigMap, ${CONCURRENCY} at once`,
      await closedLoop({
        concurrency: CONCURRENCY,
        total: GETS,
        operation: i => call(i, 'GET', `${path}/${run}-${i % 1000}`),
      }),
    ),
  );
  print(
    row(
      `list ${LIST_SIZE} ConfigMaps, 8 at once`,
      await closedLoop({ concurrency: 8, total: LISTS, operation: i => call(i, 'GET', `${path}?limit=${LIST_SIZE}`) }),
    ),
  );
  await call(0, 'DELETE', `/api/v1/namespaces/${NAMESPACE}`);
  for (const session of sessions) session.close();
}

function exchange(
  session: ClientHttp2Session,
  { method, path, body }: { readonly method: string; readonly path: string; readonly body?: string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': method,
      ':path': path,
      accept: 'application/json',
      ...(body !== undefined && { 'content-type': 'application/json' }),
    });
    let status = 0;
    stream.on('response', headers => {
      status = Number(headers[':status']);
    });
    stream.on('data', () => {});
    stream.on('error', reject);
    stream.on('end', () => (status < 300 ? resolve() : reject(new Error(`status ${status}`))));
    stream.end(body);
  });
}
