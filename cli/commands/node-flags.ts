/**
 * Flags of a node that mean the same on every node. `raftsman agent` reads them; `raftsman up` and `raftsman server`, which
 * start agents, check them and hand them on as they were typed. So each is described here and nowhere else.
 */
import { isIP, isIPv4, isIPv6 } from 'node:net';
import { InvalidArgumentError, Option } from 'commander';
import { type HousekeepingFlags, housekeepingOptions } from './agent-housekeeping.ts';

export interface NodeFlags extends HousekeepingFlags {
  readonly nodeLabel: Readonly<Record<string, string>>;
  readonly nodeTaint: readonly Taint[];
  readonly podManifestPath?: string;
  readonly networkPolicy: boolean;
  readonly nodeNetwork: 'auto' | 'routes' | 'vxlan' | 'wireguard';
  readonly registries?: string;
  readonly clusterDns?: readonly string[];
  readonly clusterDomain?: string;
  readonly resolvConf?: string;
  readonly dnsStubZone?: StubZones;
}
type StubZones = Readonly<Record<string, readonly { readonly address: string; readonly port: number }[]>>;
interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
}
const DNS_PORT = 53;
const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

/** What the agent itself is told. */
export function nodeOptions(): readonly Option[] {
  return [
    read('--node-label <key=value>', 'a label of the node (repeatable)', label).default({}, 'none'),
    read('--node-taint <key=value:effect>', 'a taint of the node (repeatable)', taint).default([], 'none'),
    new Option(
      '--pod-manifest-path <dir>',
      'manifests of static pods (default: manifests in the node’s data directory)',
    ),
    new Option('--node-network <way>', 'how pods of other nodes are reached; auto: routes on one network, else vxlan')
      .choices(['auto', 'routes', 'vxlan', 'wireguard'])
      .default('auto'),
    new Option('--no-network-policy', 'do not enforce NetworkPolicies on the node'),
    new Option(
      '--registries <file>',
      'mirrors, keys and authorities of registries, in the form of k3s’ registries.yaml (native runtime)',
    ),
    read('--cluster-dns <addresses>', 'resolvers that pods are given (default: their node’s DNS server)', addresses),
    new Option('--cluster-domain <domain>', 'the cluster’s domain in DNS (default: what the masters say)'),
    new Option('--resolv-conf <file>', 'the node’s own resolvers (default: /etc/resolv.conf)'),
    read('--dns-stub-zone <zone=addresses>', 'a zone with resolvers of its own (repeatable)', stubZone),
    ...housekeepingOptions(),
  ];
}

/** Which runtime a node has; a cluster on one machine has one for all. */
export function runtimeOptions(): readonly Option[] {
  return [
    new Option('--runtime <runtime>', 'what runs the pods')
      .choices(['auto', 'docker', 'cri', 'native', 'fake'])
      .default('auto'),
    new Option(
      '--runtime-endpoint <unix:///path>',
      'where the runtime for --runtime cri listens (default unix:///run/containerd/containerd.sock)',
    ),
  ];
}

export function nodeIpOption(): Option {
  return new Option(
    '--node-ip <address>',
    'the node’s address (default: the machine’s first); dual-stack: the IPv4 and the IPv6 address, with a comma',
  ).argParser(nodeAddresses);
}

/** Two have to be one of each family, since a node says of each family where it is reached. */
function nodeAddresses(text: string): string {
  const [first = '', second, ...extra] = text.split(',');
  if (second === undefined || (isIPv4(first) && isIPv6(second) && extra.length === 0)) return text;
  throw new InvalidArgumentError('it must be an address, or an IPv4 and an IPv6 address, with a comma.');
}

/** The same for a command that starts agents: values are checked as the agent checks them, and kept as they were typed. */
export function handedOn(options: readonly Option[]): readonly Option[] {
  return options.map(({ flags, description, negate, parseArg, argChoices, defaultValue }) => {
    const option = new Option(flags, description);
    if (negate) return option;
    option.argParser((text: string, before: readonly string[] = []) => {
      parseArg?.(text, defaultValue);
      return [...before, text];
    });
    // For the help; the agent's own parser has checked the value.
    if (argChoices !== undefined) option.argChoices = argChoices;
    return option;
  });
}

/** The flags of the agent that make it what was typed, from what a command with {@link handedOn} options has read. */
export function handedOnArguments(options: readonly Option[], flags: Readonly<Record<string, unknown>>): string[] {
  return options.flatMap(option => {
    const value = flags[option.attributeName()];
    if (option.negate) return value === false && option.long ? [option.long] : [];
    return Array.isArray(value) ? value.map(text => `${option.long}=${text}`) : [];
  });
}

function read<T>(flags: string, description: string, parse: (text: string, before?: T) => T): Option {
  return new Option(flags, description).argParser(parse);
}

function addresses(text: string): readonly string[] {
  const list = text.split(',').map(part => part.trim());
  if (!list.every(address => isIP(address) !== 0))
    throw new InvalidArgumentError('it must be IP addresses, with commas.');
  return list;
}

function stubZone(text: string, before: StubZones = {}): StubZones {
  const [zone, list, ...extra] = text.split('=');
  if (!zone || !list || extra.length > 0) throw new InvalidArgumentError('it must be zone=address[,address].');
  const resolvers = addresses(list).map(address => ({ address, port: DNS_PORT }));
  return { ...before, [zone.toLowerCase().replace(/\.$/, '')]: resolvers };
}

function label(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const match = /^([^=]+)=(.*)$/.exec(text);
  if (!match) throw new InvalidArgumentError('it must be key=value.');
  return { ...before, [match[1] ?? '']: match[2] ?? '' };
}

function taint(text: string, before: readonly Taint[] = []): readonly Taint[] {
  const match = /^([^=:]+)(?:=([^:]*))?:(\w+)$/.exec(text);
  if (!match || !EFFECTS.includes(match[3] ?? '')) {
    throw new InvalidArgumentError(`it must be key=value:effect, with one of ${EFFECTS.join(', ')} as the effect.`);
  }
  return [
    ...before,
    { key: match[1] ?? '', ...(match[2] !== undefined && { value: match[2] }), effect: match[3] ?? '' },
  ];
}
