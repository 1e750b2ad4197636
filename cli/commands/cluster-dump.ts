/** `raftsman cluster-info dump`: all that is needed to look into a cluster's trouble, on standard output or in a folder. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Pod } from '../../control/api/generated/types.ts';
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from '../client/api.ts';
import { pathOf, type Resource } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import type { Session } from '../client/session.ts';
import { objectPrinter, PLAIN_FORMATS } from '../output/objects.ts';

export interface DumpFlags {
  readonly outputDirectory?: string;
  readonly allNamespaces?: boolean;
  readonly namespaces?: readonly string[];
  readonly output: string;
}

const RESOURCES = [
  'events',
  'replicationcontrollers',
  'services',
  'daemonsets.apps',
  'deployments.apps',
  'replicasets.apps',
  'pods',
];

export async function dump(session: Session, flags: DumpFlags): Promise<void> {
  const write = writer(session, flags.outputDirectory);
  const print = objectPrinter(flags.output, { allowed: PLAIN_FORMATS });
  if (flags.output === 'name') throw failure('list types are not supported by name printing: *v1.NodeList');
  const extension = flags.output === 'json' || flags.output === 'yaml' ? flags.output : 'txt';
  let isFirst = true;
  const writeList = (name: string, resource: Resource, object: JsonObject) => {
    const text = print({ objects: [{ resource, object }], isList: false });
    write(`${name}.${extension}`, flags.output === 'yaml' && !isFirst ? `---\n${text}` : text);
    isFirst = false;
  };
  writeList('nodes', await session.discovery.find('nodes'), await session.api.json('GET', '/api/v1/nodes'));
  for (const namespace of await namespacesOf(session, flags)) {
    for (const name of RESOURCES) {
      const resource = await session.discovery.find(name);
      const list = await session.api.json<JsonObject & { items?: Pod[] }>('GET', pathOf(resource, namespace));
      const file = resource.kind === 'ReplicationController' ? 'replication-controllers' : resource.name;
      writeList(join(namespace, file), resource, list);
      if (resource.kind === 'Pod') for (const pod of list.items ?? []) await dumpLogs(session, pod, write);
    }
  }
  if (flags.outputDirectory && flags.outputDirectory !== '-') {
    session.print(`Cluster info dumped to ${flags.outputDirectory}`);
  }
}

type Write = (name: string, text: string) => void;

function writer(session: Session, folder: string | undefined): Write {
  if (!folder || folder === '-') return (_name, text) => void session.context.stdout.write(text);
  return (name, text) => {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };
}

async function namespacesOf(session: Session, flags: DumpFlags): Promise<readonly string[]> {
  if (flags.namespaces?.length) return flags.namespaces;
  if (!flags.allNamespaces) return [...new Set(['kube-system', session.namespace])];
  const { items } = await session.api.json<{ items: { metadata: { name: string } }[] }>('GET', '/api/v1/namespaces');
  return items.map(({ metadata }) => metadata.name);
}

async function dumpLogs(session: Session, { metadata, spec }: Pod, write: Write): Promise<void> {
  const { namespace = '', name = '' } = metadata ?? {};
  const pods = await session.discovery.find('pods');
  const parts: string[] = [];
  for (const { name: container } of [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])]) {
    const head = `==== START logs for container ${container} of pod ${namespace}/${name} ====`;
    const log = await session.api
      .text('GET', pathOf(pods, namespace, name, 'log'), { accept: '*/*', query: { container } })
      .catch(error => {
        // What has no log tells why in its place.
        if (error instanceof ApiError) return `Request log error: ${error.message}\n`;
        throw error;
      });
    parts.push(`${head}\n${log}==== END logs for container ${container} of pod ${namespace}/${name} ====`);
  }
  write(join(namespace, name, 'logs.txt'), `${parts.join('\n')}\n`);
}
