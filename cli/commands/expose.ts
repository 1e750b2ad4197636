/** `raftsman expose`: a service for the pods of something. */
import type { Command } from 'commander';
import type { JsonObject } from '../client/api.ts';
import { pathOf } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import { forEachObject, metadataOf, type SelectionFlags, selectedObjects } from '../client/objects.ts';
import { type RecordFlags, recorded, withRecordFlag } from '../client/record.ts';
import { type Session, withSession } from '../client/session.ts';
import { templateSpecOf } from '../client/templates.ts';
import { dryRunOf, dryRunQuery, printWritten, type WriteFlags, withWriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { withEmptyFields } from '../output/generated.ts';
import { ClusterCommand, repeated, withGlobalFlags } from './cluster-command.ts';

interface Flags extends WriteFlags, SelectionFlags, RecordFlags {
  readonly port?: string;
  readonly targetPort?: string;
  readonly protocol?: string;
  readonly name?: string;
  readonly type?: string;
  readonly clusterIp?: string;
  readonly externalIp?: string;
  readonly loadBalancerIp?: string;
  readonly sessionAffinity?: string;
  readonly labels?: string;
  readonly overrides?: string;
}

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('expose')
    .argument('[words...]')
    .usage('(-f FILENAME | TYPE NAME) [--port=port] [--target-port=number-or-name] [--type=type]')
    .summary('make a service for pods')
    .description(
      'Makes a service that leads to the pods of a deployment, replica set, replication controller, pod or service.',
    )
    .option('--port <port>', 'the service’s port; default: the ports of the containers')
    .option('--target-port <port>', 'where it leads: a number or a name')
    .option('--protocol <protocol>', 'TCP, UDP or SCTP')
    .option('--name <name>', 'the service’s name; default: that of the object')
    .option('--type <type>', 'ClusterIP, NodePort, LoadBalancer or ExternalName')
    .option('--cluster-ip <address>', 'the address, or None')
    .option('--external-ip <address>', 'an address from outside that leads to it')
    .option('--load-balancer-ip <address>', 'the address that the balancer shall have')
    .option('--session-affinity <mode>', 'None or ClientIP')
    .option('-l, --labels <labels>', 'the service’s labels')
    .option('--selector <labels>', 'the pods’ labels; default: those that the object selects')
    .option('-f, --filename <file>', 'the object of this file', repeated)
    .option('-R, --recursive', 'read folders within folders')
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman expose deployment web --port=80 --target-port=8080\n  raftsman expose rc nginx --port=80 --type=NodePort',
    )
    .action(withSession<Flags>(context, expose));
  program.addCommand(withWriteFlags(withRecordFlag(withGlobalFlags(command))));
}

async function expose(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const { selector, ...rest } = flags;
  const services = await session.discovery.find('services');
  await forEachObject(session, await selectedObjects(session, words, rest), async ({ object, name, resource }) => {
    const ports = portsOf(object, flags);
    const labels = selector === undefined ? selectorOf(object, resource.name) : labelMap(selector);
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {
        name: flags.name ?? name,
        ...(session.isNamespaceExplicit && { namespace: session.namespace }),
        ...labelsField(flags.labels === undefined ? metadataOf(object).labels : labelMap(flags.labels)),
      },
      spec: {
        ports,
        selector: labels,
        ...(flags.type && { type: flags.type }),
        ...(flags.clusterIp && { clusterIP: flags.clusterIp }),
        ...(flags.externalIp && { externalIPs: [flags.externalIp] }),
        ...(flags.loadBalancerIp && { loadBalancerIP: flags.loadBalancerIp }),
        ...(flags.sessionAffinity && { sessionAffinity: flags.sessionAffinity }),
      },
    };
    const created =
      dryRunOf(flags) === 'client'
        ? withEmptyFields(service)
        : await session.api.json('POST', pathOf(services, session.namespace), {
            body: recorded(session, service, flags),
            query: { fieldManager: 'kubectl-expose', dryRun: dryRunQuery(flags) },
          });
    printWritten(session, { resource: services, name: service.metadata.name, object: created }, 'exposed', flags);
  });
}

const labelsField = (labels: Readonly<Record<string, string>> | undefined) => (labels ? { labels } : {});

export function labelMap(text: string): Record<string, string> {
  const map: Record<string, string> = {};
  for (const pair of text.split(',').filter(part => part !== '')) {
    const [key = '', value] = pair.split('=');
    if (key === '' || value === undefined) throw failure(`unexpected label format: ${pair}`);
    map[key] = value;
  }
  return map;
}

function selectorOf(object: JsonObject, resource: string): Record<string, string> {
  const spec = (object.spec ?? {}) as { selector?: Record<string, unknown> };
  switch (object.kind) {
    case 'Pod': {
      const { labels } = metadataOf(object);
      if (!labels || Object.keys(labels).length === 0) {
        throw failure(
          "couldn't retrieve selectors via --selector flag or introspection: the pod has no labels and cannot be exposed",
        );
      }
      return { ...labels };
    }
    case 'Service':
    case 'ReplicationController':
      return { ...(spec.selector as Record<string, string> | undefined) };
    case 'Deployment':
    case 'ReplicaSet':
    case 'StatefulSet': {
      const { matchLabels = {}, matchExpressions = [] } = (spec.selector ?? {}) as {
        matchLabels?: Record<string, string>;
        matchExpressions?: unknown[];
      };
      if (matchExpressions.length > 0) {
        throw failure(
          "couldn't retrieve selectors via --selector flag or introspection: couldn't convert expressions to map-based selector format",
        );
      }
      return matchLabels;
    }
    default:
      throw failure(`cannot expose a ${String(object.kind ?? resource)}`);
  }
}

interface Port {
  readonly name?: string;
  readonly port: number;
  readonly protocol: string;
  readonly targetPort: string | number;
}

const numberOrName = (text: string) => (/^\d+$/.test(text) ? Number(text) : text);

function portsOf(object: JsonObject, flags: Flags): Port[] {
  const target = flags.targetPort === undefined ? undefined : numberOrName(flags.targetPort);
  const named = flags.port?.split(',').map(Number);
  if (named?.some(port => !Number.isInteger(port))) throw failure(`invalid port ${JSON.stringify(flags.port)}`);
  const found = (named ?? containerPorts(object)).map((entry): Port => {
    const { port, protocol } = typeof entry === 'number' ? { port: entry, protocol: undefined } : entry;
    return { port, protocol: flags.protocol ?? protocol ?? 'TCP', targetPort: target ?? port };
  });
  if (found.length === 0) {
    throw failure("couldn't find port via --port flag or introspection");
  }
  return found.length === 1 ? found : found.map((port, index) => ({ name: `port-${index + 1}`, ...port }));
}

function containerPorts(object: JsonObject): { port: number; protocol?: string }[] {
  if (object.kind === 'Service') {
    return ((object.spec as { ports?: { port: number; protocol?: string }[] } | undefined)?.ports ?? []).map(
      ({ port, protocol }) => ({ port, ...(protocol && { protocol }) }),
    );
  }
  const spec = templateSpecOf(object) as
    | { containers?: { ports?: { containerPort: number; protocol?: string }[] }[] }
    | undefined;
  return (spec?.containers ?? []).flatMap(({ ports = [] }) =>
    ports.map(({ containerPort, protocol }) => ({ port: containerPort, ...(protocol && { protocol }) })),
  );
}
