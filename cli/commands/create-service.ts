/** `raftsman create service`: one sub-command a type of service. */
import type { JsonObject } from '../client/api.ts';
import { failure } from '../client/errors.ts';
import { ClusterCommand, integer, list } from './cluster-command.ts';
import { kind, onlyName, type RegisterKind } from './create-kind.ts';

interface ServiceFlags {
  readonly tcp?: readonly string[];
  readonly nodePort?: number;
  readonly clusterip?: string;
  readonly externalName?: string;
}

export const serviceKind: RegisterKind = (parent, context) => {
  const command = new ClusterCommand('service')
    .alias('svc')
    .description('Creates a service: clusterip, nodeport, loadbalancer or externalname.')
    .asGroup(context);
  for (const type of ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName']) serviceOf(type)(command, context);
  parent.addCommand(command);
};

function serviceOf(type: string): RegisterKind {
  return kind<ServiceFlags>({
    name: type.toLowerCase(),
    required: type === 'ExternalName' ? ['external-name'] : [],
    usage: 'NAME [--tcp=<port>:<targetPort>]',
    description: `Creates a service of type ${type}.`,
    example: `raftsman create service ${type.toLowerCase()} web --tcp=80:8080`,
    flags: command => {
      command.option('--tcp <port:target>', 'a port and where it leads (repeatable)', list);
      if (type === 'NodePort') command.option('--node-port <port>', 'the port on each node', integer);
      if (type === 'ClusterIP') command.option('--clusterip <address>', 'the address, or None');
      if (type === 'ExternalName') command.option('--external-name <name>', 'the name that it stands for');
    },
    build: (words, flags) => {
      const name = onlyName(words);
      const ports = (flags.tcp ?? []).map(text => servicePort(text, flags.nodePort));
      if (ports.length === 0 && type !== 'ExternalName' && flags.clusterip !== 'None') {
        throw failure('at least one tcp port specifier must be provided');
      }
      return {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name, labels: { app: name } },
        spec: {
          type,
          selector: { app: name },
          ...(ports.length > 0 && { ports }),
          ...(flags.clusterip !== undefined && { clusterIP: flags.clusterip }),
          ...(flags.externalName !== undefined && { externalName: flags.externalName }),
        },
      };
    },
  });
}

function checkedPort(text: string): number {
  if (!/^\d+$/.test(text)) throw failure(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  const port = Number(text);
  if (port < 1 || port > 65_535) throw failure('must be between 1 and 65535, inclusive');
  return port;
}

function servicePort(text: string, nodePort: number | undefined): JsonObject {
  const [port = '', target = port] = text.split(':');
  const portNumber = checkedPort(port);
  const isNumber = /^\d+$/.test(target);
  if (isNumber) checkedPort(target);
  return {
    name: text.replace(':', '-'),
    port: portNumber,
    protocol: 'TCP',
    targetPort: isNumber ? Number(target) : target,
    ...(nodePort !== undefined && { nodePort }),
  };
}
