/** `raftsman agent`: a node. */
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { FAST_FAILOVER } from '../../control/master/failover.ts';
import type { CommandContext } from '../context.ts';
import { addHousekeepingFlags, type HousekeepingFlags, housekeepingOf } from './agent-housekeeping.ts';
import { hostAndPort, portOrOff, urls, wholeNumber } from './options.ts';

interface Flags extends HousekeepingFlags {
  readonly name: string;
  readonly dataDir: string;
  readonly server: readonly string[];
  readonly token?: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly runtime: 'auto' | 'docker' | 'cri' | 'native' | 'fake';
  readonly runtimeEndpoint?: string;
  readonly nodeLabel: Readonly<Record<string, string>>;
  readonly nodeTaint: readonly Taint[];
  readonly podManifestPath?: string;
  readonly kubeletDir?: string;
  readonly nodeIp?: string;
  readonly networkPolicy: boolean;
  readonly nodeNetwork: 'auto' | 'routes' | 'vxlan' | 'wireguard';
  readonly registries?: string;
  readonly nodeLeaseDuration?: number;
  readonly fastFailover?: boolean;
  readonly clusterDns?: readonly string[];
  readonly clusterDomain?: string;
  readonly resolvConf?: string;
  readonly dnsStubZone?: StubZones;
  readonly ingressHttpPort: number | 'off';
  readonly ingressHttpsPort: number | 'off';
  readonly ingressSharePorts?: boolean;
}
type StubZones = Readonly<Record<string, readonly { readonly address: string; readonly port: number }[]>>;
interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
}
const DNS_PORT = 53;
const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export function register(program: Command, context: CommandContext): void {
  const command = program
    .command('agent')
    .summary('run a node')
    .description('Runs a node: registers it and runs the pods that the scheduler gives it.')
    .requiredOption('--name <name>', 'the node’s name')
    .requiredOption('--data-dir <dir>', 'where the agent keeps its data')
    .requiredOption('--server <urls>', 'one or more masters, separated by commas; the others are learned', urls)
    .option('--token <token>', 'the token to join with; needed at the first start only (or in RAFTSMAN_TOKEN)')
    .option('--listen <host:port>', 'where masters reach the agent', hostAndPort, { host: '0.0.0.0', port: 10_250 })
    .addOption(
      new Option('--runtime <runtime>', 'what runs the pods')
        .choices(['auto', 'docker', 'cri', 'native', 'fake'])
        .default('auto'),
    )
    .option(
      '--runtime-endpoint <unix:///path>',
      'where the runtime for --runtime cri listens (default unix:///run/containerd/containerd.sock)',
    )
    .option('--node-label <key=value>', 'a label of the node (repeatable)', label, {})
    .option('--node-taint <key=value:effect>', 'a taint of the node (repeatable)', taint, [])
    .option('--pod-manifest-path <dir>', 'manifests of static pods (default: manifests in the data directory)')
    .option('--kubelet-dir <dir>', 'where CSI drivers register and mount (default: /var/lib/kubelet)')
    .option('--node-ip <address>', 'the node’s address (default: the machine’s first)')
    .addOption(
      new Option('--node-network <way>', 'how pods of other nodes are reached; auto: routes on one network, else vxlan')
        .choices(['auto', 'routes', 'vxlan', 'wireguard'])
        .default('auto'),
    )
    .option('--no-network-policy', 'do not enforce NetworkPolicies on this node')
    .option(
      '--node-lease-duration <seconds>',
      'how long a heartbeat holds; one is sent four times as often (default 40)',
      wholeNumber,
    )
    .option(
      '--registries <file>',
      'mirrors, keys and authorities of registries, in the form of k3s’ registries.yaml (native runtime)',
    )
    .option('--fast-failover', 'beat as masters with this flag expect it: the same as --node-lease-duration 10')
    .option('--cluster-dns <addresses>', 'resolvers that pods are given (default: this node’s DNS server)', addresses)
    .option('--cluster-domain <domain>', 'the cluster’s domain in DNS (default: what the masters say)')
    .option('--resolv-conf <file>', 'the node’s own resolvers (default: /etc/resolv.conf)')
    .option('--dns-stub-zone <zone=addresses>', 'a zone with resolvers of its own (repeatable)', stubZone)
    .option('--ingress-http-port <port>', 'where requests for Ingresses are taken, or off', portOrOff, 80)
    .option('--ingress-https-port <port>', 'the same over TLS', portOrOff, 443)
    .option('--ingress-share-ports', 'share these ports with other agents of the same cluster on this machine (Linux)')
    .addHelpText(
      'after',
      `
Examples:
  raftsman agent --name node-1 --data-dir /var/lib/raftsman --server https://10.0.0.1:6443 --token raftsman:…
  raftsman agent --name gpu-1 --data-dir /var/lib/raftsman --server https://10.0.0.1:6443 --token raftsman:… \\
      --node-label hardware=gpu --node-taint hardware=gpu:NoSchedule

SIGTERM and Ctrl-C stop the agent and leave its pods running; SIGUSR2 removes them, with their network, first.`,
    )
    .action(async (flags: Flags) => {
      const { runAgent } = await import('../../node/main.ts');
      await runAgent(
        {
          name: flags.name,
          dataDir: flags.dataDir,
          servers: flags.server,
          token: flags.token ?? context.env.RAFTSMAN_TOKEN,
          listen: flags.listen,
          runtime: flags.runtime,
          runtimeEndpoint: flags.runtimeEndpoint,
          labels: flags.nodeLabel,
          taints: flags.nodeTaint,
          podManifestPath: flags.podManifestPath === undefined ? undefined : resolve(flags.podManifestPath),
          kubeletDir: flags.kubeletDir === undefined ? undefined : resolve(flags.kubeletDir),
          housekeeping: housekeepingOf(flags),
          nodeIp: flags.nodeIp,
          networkPolicy: flags.networkPolicy,
          ingress: {
            http: flags.ingressHttpPort === 'off' ? undefined : flags.ingressHttpPort,
            https: flags.ingressHttpsPort === 'off' ? undefined : flags.ingressHttpsPort,
            shared: flags.ingressSharePorts === true,
          },
          nodeNetwork: flags.nodeNetwork,
          registriesFile: flags.registries === undefined ? undefined : resolve(flags.registries),
          leaseDurationSeconds:
            flags.nodeLeaseDuration ?? (flags.fastFailover ? FAST_FAILOVER.leaseDurationSeconds : undefined),
          dns: {
            addresses: flags.clusterDns,
            domain: flags.clusterDomain,
            resolvConf: flags.resolvConf,
            stubZones: flags.dnsStubZone,
          },
        },
        context,
      );
    });
  addHousekeepingFlags(command);
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

function label(text: string, before: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const match = /^([^=]+)=(.*)$/.exec(text);
  if (!match) throw new InvalidArgumentError('it must be key=value.');
  return { ...before, [match[1] ?? '']: match[2] ?? '' };
}

function taint(text: string, before: readonly Taint[]): readonly Taint[] {
  const match = /^([^=:]+)(?:=([^:]*))?:(\w+)$/.exec(text);
  if (!match || !EFFECTS.includes(match[3] ?? '')) {
    throw new InvalidArgumentError(`it must be key=value:effect, with one of ${EFFECTS.join(', ')} as the effect.`);
  }
  return [
    ...before,
    { key: match[1] ?? '', ...(match[2] !== undefined && { value: match[2] }), effect: match[3] ?? '' },
  ];
}
