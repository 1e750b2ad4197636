/** `raftsman server`: a master. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { FeatureGates } from '../../control/api/features.ts';
import type { DatastoreOptions } from '../../control/master/datastore.ts';
import type { Schedule } from '../../control/operations/schedule.ts';
import type { StoreSettings } from '../../control/operations/store-settings.ts';
import { UsageError } from '../cluster/errors.ts';
import type { CommandContext } from '../context.ts';
import {
  type AuthenticationOptionFlags,
  addAuthenticationOptions,
  authenticationOf,
} from './authentication-options.ts';
import { addFailoverOptions, type FailoverFlags, failoverOf } from './failover-options.ts';
import { featureGatesOption } from './feature-gates.ts';
import { handedOn, handedOnArguments, nodeIpOption, nodeOptions, runtimeOptions } from './node-flags.ts';
import {
  hostAndPort,
  namedAddress,
  portOrOff,
  positiveNumber,
  snapshotSchedule,
  urls,
  wholeNumber,
} from './options.ts';

interface Flags extends FailoverFlags, AuthenticationOptionFlags {
  readonly name: string;
  readonly dataDir: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly peerListen: { readonly host: string; readonly port: number };
  readonly etcdListen?: { readonly host: string; readonly port: number };
  readonly storeLimit: readonly string[];
  readonly heartbeatInterval?: number;
  readonly electionTimeout?: number;
  readonly advertise?: { readonly host: string; readonly port: number };
  readonly token?: string;
  readonly join?: readonly string[];
  readonly learner?: boolean;
  readonly replace?: string;
  readonly peerAddress?: ReadonlyMap<string, string>;
  readonly snapshotSchedule: Schedule;
  readonly snapshotRetention: number;
  readonly snapshotDir?: string;
  readonly agent: boolean;
  readonly encryptionProviderConfig?: string;
  readonly schedulerConfig?: string;
  readonly featureGates: FeatureGates;
  readonly auditPolicyFile?: string;
  readonly auditLogPath?: string;
  readonly auditLogMaxage: number;
  readonly auditLogMaxbackup: number;
  readonly auditLogMaxsize: number;
  readonly tlsSan: readonly string[];
  readonly clusterCidr?: string;
  readonly serviceCidr?: string;
  readonly datastoreEndpoint?: readonly string[];
  readonly datastorePrefix?: string;
  readonly datastoreCafile?: string;
  readonly datastoreCertfile?: string;
  readonly datastoreKeyfile?: string;
  readonly loadBalancer: boolean;
  readonly ingress: boolean;
  readonly ingressHttpPort: number | 'off';
  readonly ingressHttpsPort: number | 'off';
}

export function register(program: Command, context: CommandContext): void {
  const command = program
    .command('server')
    .summary('run a master')
    .description('Runs a master: a member of the store, an API server, and scheduler and controllers while it leads.')
    .requiredOption('--name <name>', 'the master’s name, its own in the cluster')
    .requiredOption('--data-dir <dir>', 'where the master keeps its data')
    .option('--listen <host:port>', 'where the API is served', hostAndPort, { host: '0.0.0.0', port: 6443 })
    .option('--peer-listen <host:port>', 'where other masters reach the store', hostAndPort, {
      host: '0.0.0.0',
      port: 6463,
    })
    .option(
      '--etcd-listen <host:port>',
      'where the store answers etcd’s v3 API (off by default); certificates for etcdctl are put into etcd in --data-dir',
      hostAndPort,
    )
    .option(
      '--advertise <host:port>',
      'where pods reach the API, if not at --listen (an address in front of all masters, say)',
      hostAndPort,
    )
    .option(
      '--token <token>',
      'with --join: the token to join with; else a token that others may join with (or in RAFTSMAN_TOKEN)',
    )
    .option('--join <url>', 'a master of the cluster to join, such as https://10.0.0.1:6443', urls)
    .option('--learner', 'with --join: receive all data but take no part in decisions until promoted')
    .option('--replace <member>', 'with --join: take the place of this member, by name or id')
    .option(
      '--peer-address <name=host:port>',
      'where to reach a master that is not where it was (may be repeated; needed only if all have moved)',
      namedAddress,
    )
    .addOption(
      new Option(
        '--snapshot-schedule <schedule>',
        'how often to take a snapshot: an interval such as 12h, five fields of cron in UTC, or off',
      )
        .argParser(snapshotSchedule)
        .default(snapshotSchedule('12h'), '12h'),
    )
    .option('--snapshot-retention <count>', 'how many scheduled snapshots this master keeps', positiveNumber, 5)
    .option('--snapshot-dir <dir>', 'where this master keeps snapshots (default: snapshots in --data-dir)')
    .option(
      '--store-limit <name=number>',
      'a limit of the store, such as quotaBytes=4294967296 (may be repeated; a wrong name lists them all)',
      collect,
      [],
    )
    .option(
      '--heartbeat-interval <ms>',
      'how often the leader shows that it is there (default 50; more on slow networks)',
      positiveNumber,
    )
    .option(
      '--election-timeout <ms>',
      'how long masters wait for a leader before they elect another (default 500; at least three heartbeats)',
      positiveNumber,
    )
    .option('--no-agent', 'run no node on this machine')
    .option('--tls-san <host>', 'another name or address under which clients reach this master', collect, [])
    .option(
      '--encryption-provider-config <file>',
      'an EncryptionConfiguration that says how values lie in the store (default: Secrets under keys of the masters’ own)',
    )
    .option(
      '--scheduler-config <file>',
      'a KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1); the same on every master',
    )
    .addOption(featureGatesOption())
    .option('--audit-policy-file <file>', 'an audit policy (audit.k8s.io/v1): which requests are written down')
    .option('--audit-log-path <file>', 'where they are written, a line of JSON each; - for standard output')
    .option('--audit-log-maxage <days>', 'how long old audit logs are kept (0 for ever)', wholeNumber, 0)
    .option('--audit-log-maxbackup <count>', 'how many old audit logs are kept (0 for all)', wholeNumber, 0)
    .option('--audit-log-maxsize <MiB>', 'how large an audit log grows before a new one begins', positiveNumber, 100)
    .option(
      '--cluster-cidr <cidr>',
      'where pod addresses come from (first master only; default 10.42.0.0/16; dual-stack: 10.42.0.0/16,fd42::/56)',
    )
    .option(
      '--service-cidr <cidr>',
      'where service addresses come from (first master only; default 10.192.0.0/12; dual-stack: 10.192.0.0/12,fd43::/112)',
    )
    .option(
      '--datastore-endpoint <url>',
      'keep the cluster in an external etcd at this address instead (several: by commas, or repeated)',
      moreEtcdUrls,
    )
    .option('--datastore-prefix <prefix>', 'what its keys begin with in that etcd (default /raftsman)')
    .option('--datastore-cafile <file>', 'the authority of that etcd’s certificates')
    .option('--datastore-certfile <file>', 'this master’s certificate for that etcd')
    .option('--datastore-keyfile <file>', 'the key of that certificate')
    .option('--no-load-balancer', 'give Services of type LoadBalancer no addresses: somebody else does')
    .option('--no-ingress', 'make no IngressClass and give Ingresses no addresses: somebody else routes them')
    .option(
      '--ingress-http-port <port>',
      'where this machine’s node takes requests for Ingresses, or off',
      portOrOff,
      80,
    )
    .option('--ingress-https-port <port>', 'the same over TLS', portOrOff, 443);
  for (const option of handedOn(ownNodeOptions()))
    command.addOption(option.helpGroup('Options of this machine’s node:'));
  addFailoverOptions(addAuthenticationOptions(command))
    .addHelpText(
      'after',
      `
Examples:
  raftsman server --name master-1 --data-dir /var/lib/raftsman
  raftsman token create --role master                          (on master-1)
  raftsman server --name master-2 --data-dir /var/lib/raftsman --join https://10.0.0.1:6443 --token raftsman:…
  raftsman server --name master-4 --data-dir /var/lib/raftsman --join https://10.0.0.1:6443 --token raftsman:… --replace master-3`,
    )
    .action(async (flags: Flags) => {
      refuseWithoutJoin(flags);
      const nodeFlags = handedOnArguments(ownNodeOptions(), command.opts());
      if (!flags.agent && nodeFlags[0] !== undefined) {
        throw new UsageError(`${nodeFlags[0].split('=')[0]} is for this machine’s node, and --no-agent leaves it out`);
      }
      if (flags.auditLogPath !== undefined && flags.auditPolicyFile === undefined) {
        throw new UsageError('--audit-log-path needs --audit-policy-file: it says what is to be written');
      }
      const storeSettings = await storeSettingsOf(flags);
      const { runMaster } = await import('../../control/main.ts');
      using _collection = context.collectWhenIdle();
      await runMaster(
        {
          name: flags.name,
          dataDir: flags.dataDir,
          listen: flags.listen,
          peerListen: flags.peerListen,
          etcdListen: flags.etcdListen,
          storeSettings,
          advertise: flags.advertise,
          token: flags.token ?? context.env.RAFTSMAN_TOKEN,
          join: flags.join,
          isLearner: flags.learner === true,
          replace: flags.replace,
          peerAddresses: flags.peerAddress ?? new Map(),
          snapshots: {
            schedule: flags.snapshotSchedule,
            retention: flags.snapshotRetention,
            folder: flags.snapshotDir,
          },
          withAgent: flags.agent,
          agentFlags: [
            ...nodeFlags,
            ...['--ingress-http-port', flags.ingress ? String(flags.ingressHttpPort) : 'off'],
            ...['--ingress-https-port', flags.ingress ? String(flags.ingressHttpsPort) : 'off'],
          ],
          tlsSans: flags.tlsSan,
          authentication: authenticationOf(flags),
          audit: {
            policyFile: flags.auditPolicyFile,
            logPath: flags.auditLogPath,
            ageDaysMax: flags.auditLogMaxage,
            backupsMax: flags.auditLogMaxbackup,
            sizeMebibytesMax: flags.auditLogMaxsize,
          },
          encryptionConfigurationFile: flags.encryptionProviderConfig,
          schedulerConfigurationFile: flags.schedulerConfig,
          features: flags.featureGates,
          clusterCIDR: flags.clusterCidr,
          serviceCIDR: flags.serviceCidr,
          datastore: datastoreOf(flags),
          failover: failoverOf(flags),
          balancesServices: flags.loadBalancer,
          routesIngresses: flags.ingress,
        },
        context,
      );
    });
}

/** Here they are one node's, so that its runtime and its address can be among them. */
const ownNodeOptions = () => [...runtimeOptions(), nodeIpOption(), ...nodeOptions()];

async function storeSettingsOf(flags: Flags): Promise<StoreSettings> {
  const { heartbeatInterval: heartbeatMs, electionTimeout: electionTimeoutMs } = flags;
  const { readLimits, timesProblem } = await import('../../control/operations/store-settings.ts');
  const problem = timesProblem({ heartbeatMs, electionTimeoutMs });
  if (problem !== undefined) throw new UsageError(problem);
  try {
    return { limits: readLimits(flags.storeLimit), heartbeatMs, electionTimeoutMs };
  } catch (error) {
    throw error instanceof RangeError ? new UsageError(`--store-limit: ${error.message}`) : error;
  }
}

function refuseWithoutJoin({ join, learner, replace }: Flags): void {
  if (join !== undefined || (learner !== true && replace === undefined)) return;
  throw new UsageError(`${learner === true ? '--learner' : '--replace'} needs --join: it says how to join a cluster`);
}

function datastoreOf(flags: Flags): DatastoreOptions | undefined {
  const { datastoreEndpoint: endpoints, datastorePrefix: prefix } = flags;
  const { datastoreCafile: caFile, datastoreCertfile: certFile, datastoreKeyfile: keyFile } = flags;
  if (endpoints !== undefined) return { endpoints, prefix, caFile, certFile, keyFile };
  if ([prefix, caFile, certFile, keyFile].every(flag => flag === undefined)) return undefined;
  throw new UsageError(
    '--datastore-prefix, --datastore-cafile, --datastore-certfile and --datastore-keyfile need --datastore-endpoint',
  );
}

/** An etcd without TLS is somebody's choice; on one's own machine it is a fair one. */
function moreEtcdUrls(text: string, before: readonly string[] = []): readonly string[] {
  const more = text.split(',').map(part => {
    const url = URL.parse(part);
    if (url === null || !/^https?:$/.test(url.protocol))
      throw new InvalidArgumentError(`${part || 'it'} must be a URL such as https://10.0.0.1:2379.`);
    return url.origin;
  });
  return [...before, ...more];
}

const collect = (value: string, before: readonly string[]) => [...before, value];
