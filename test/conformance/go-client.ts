/** How the suite's clients speak: typed ones send protobuf, dynamic ones and patches JSON. */
import { encodeProtobuf } from '../../control/api/protobuf/testing/encode.ts';
import type { Answer } from '../../control/apiserver/testing/harness.ts';
import type { ControlPlane } from '../helpers/control-plane.ts';
import { until } from '../helpers/run.ts';

/** Whatever an answer holds. */
export type Loose = Answer['body'];

export const GO = { 'content-type': 'application/vnd.kubernetes.protobuf' };
export const MERGE = { 'content-type': 'application/merge-patch+json' };
export const STRATEGIC = { 'content-type': 'application/strategic-merge-patch+json' };

/** A time as metav1.Time has it. */
export const RFC3339 = (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

/** The client of one resource at its path; `name` may go on to a subresource. Each call must succeed. */
export function goClient({ api }: Pick<ControlPlane, 'api'>, path: string) {
  const call = async (method: string, at: string, options: object = {}): Promise<Loose> => {
    const answer = await api.call(method, at, options);
    if (answer.status >= 300) throw new Error(`${method} ${at}: ${answer.text}`);
    return answer.body;
  };
  const typed = (method: string, at: string, object: Loose) =>
    call(method, at, { body: encodeProtobuf(object), headers: GO });
  const get = (name: string) => call('GET', `${path}/${name}`);
  return {
    get,
    list: (query = '') => call('GET', `${path}${query}`),
    create: (object: Loose) => typed('POST', path, object),
    /** Reads, changes and writes until nobody was faster. */
    update: async (name: string, change: (object: Loose) => void, subresource = '') => {
      let updated: Loose;
      await until(`an update of ${name}`, async () => {
        const object = await get(name);
        change(object);
        updated = await typed('PUT', `${path}/${name}${subresource}`, object).catch(error => {
          if (!String(error).includes('the object has been modified')) throw error;
        });
        return updated !== undefined;
      });
      return updated;
    },
    patch: (name: string, body: object, headers: object = MERGE) => call('PATCH', `${path}/${name}`, { body, headers }),
    remove: (name: string, options: object = {}) =>
      typed('DELETE', `${path}/${name}`, { apiVersion: 'v1', kind: 'DeleteOptions', ...options }),
    removeAll: (query: string) => typed('DELETE', `${path}${query}`, { apiVersion: 'v1', kind: 'DeleteOptions' }),
  };
}
