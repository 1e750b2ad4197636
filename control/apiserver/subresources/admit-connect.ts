/** Admission of connections: exec, attach, port-forward and proxies are asked about with what their query says. */
import type { KubernetesObject } from '../../api/kind.ts';
import type { Core, ResourceRequest } from '../core.ts';
import { isTrue } from '../request-info.ts';

const STREAM_FLAGS = ['stdin', 'stdout', 'stderr', 'tty'];

/** The options of a connection as an object of the API; undefined for a subresource that is no connection. */
export function connectOptions({ kind, info, exchange }: ResourceRequest): KubernetesObject | undefined {
  const { query } = exchange;
  const made = (name: string, fields: object): KubernetesObject => ({ kind: name, apiVersion: 'v1', ...fields });
  switch (info.subresource) {
    case 'exec':
    case 'attach': {
      const container = query.get('container');
      const command = query.getAll('command');
      return made(info.subresource === 'exec' ? 'PodExecOptions' : 'PodAttachOptions', {
        ...Object.fromEntries(STREAM_FLAGS.filter(name => isTrue(query.get(name))).map(name => [name, true])),
        ...(container && { container }),
        ...(info.subresource === 'exec' && command.length > 0 && { command }),
      });
    }
    case 'portforward': {
      const ports = query
        .getAll('ports')
        .flatMap(list => list.split(','))
        .map(Number)
        .filter(Number.isInteger);
      return made('PodPortForwardOptions', { ...(ports.length > 0 && { ports }) });
    }
    case 'proxy':
      return made(`${kind.kind}ProxyOptions`, { ...(info.rest && { path: info.rest }) });
    default:
      return undefined;
  }
}

/** Asks admission about a connection. Throws what the client is to be told. */
export async function admitConnect(core: Core, request: ResourceRequest): Promise<void> {
  const options = connectOptions(request);
  if (!options) return;
  const part = { group: '', version: 'v1', kind: options.kind ?? '' };
  await core.admission.admitPart({ ...request, operation: 'CONNECT', isDryRun: false, part }, options);
}
