/** `raftsman agent`: a node. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { FAST_FAILOVER } from '../../control/master/failover.ts';
import type { CommandContext } from '../context.ts';
import { housekeepingOf } from './agent-housekeeping.ts';
import { type NodeFlags, nodeIpOption, nodeOptions, runtimeOptions } from './node-flags.ts';
import { hostAndPort, portOrOff, urls, wholeNumber } from './options.ts';

interface Flags extends NodeFlags {
  readonly name: string;
  readonly dataDir: string;
  readonly server: readonly string[];
  readonly token?: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly runtime: 'auto' | 'docker' | 'cri' | 'native' | 'fake';
  readonly runtimeEndpoint?: string;
  readonly kubeletDir?: string;
  readonly nodeIp?: string;
  readonly nodeLeaseDuration?: number;
  readonly fastFailover?: boolean;
  readonly ingressHttpPort: number | 'off';
  readonly ingressHttpsPort: number | 'off';
  readonly ingressSharePorts?: boolean;
}

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
    .option('--kubelet-dir <dir>', 'where CSI drivers register and mount (default: /var/lib/kubelet)')
    .option(
      '--node-lease-duration <seconds>',
      'how long a heartbeat holds; one is sent four times as often (default 40)',
      wholeNumber,
    )
    .option('--fast-failover', 'beat as masters with this flag expect it: the same as --node-lease-duration 10')
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
      using _collection = context.collectWhenIdle();
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
  for (const option of [...runtimeOptions(), nodeIpOption(), ...nodeOptions()]) command.addOption(option);
}
