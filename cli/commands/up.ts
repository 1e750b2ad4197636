/** `raftsman up`: a whole cluster on this machine. */
import { spawn } from 'node:child_process';
import { existsSync, openSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { FeatureGates } from '../../control/api/features.ts';
import { advertised } from '../../control/master/addresses.ts';
import type { RuntimeChoice } from '../cluster/decide.ts';
import { UsageError } from '../cluster/errors.ts';
import { paths } from '../cluster/layout.ts';
import { StoppedError, up } from '../cluster/up.ts';
import type { CommandContext } from '../context.ts';
import { featureGatesArguments, featureGatesOption } from './feature-gates.ts';
import { handedOn, handedOnArguments, nodeOptions } from './node-flags.ts';
import { dataDirOption, portOrOff, seconds, wholeNumber } from './options.ts';

interface Flags {
  readonly masters?: number;
  readonly nodes?: number;
  readonly dataDir: string;
  readonly port?: number;
  readonly runtime?: RuntimeChoice;
  readonly runtimeEndpoint?: string;
  readonly detach?: boolean;
  readonly restartDelay?: number;
  readonly fastFailover?: boolean;
  readonly schedulerConfig?: string;
  readonly featureGates: FeatureGates;
  readonly authenticationConfig?: string;
  readonly ingressHttpPort?: number | 'off';
  readonly ingressHttpsPort?: number | 'off';
}

/** How often the log of a detached start is read for news. */
const FOLLOW_MS = 100;
/** A line that ends the start; the supervisor prints it when all is ready. */
const UP_LINE = 'The cluster is up';

export function register(program: Command, context: CommandContext): void {
  const command = program
    .command('up')
    .summary('run a whole cluster on this machine')
    .description(
      'Runs masters and nodes as processes of their own on this machine. A second start finds the data again.',
    )
    .option('--masters <n>', 'how many masters (default 3)', wholeNumber)
    .option('--nodes <n>', 'how many nodes (default 2)', wholeNumber)
    .addOption(dataDirOption(context))
    .option('--port <port>', 'where the API is reached, also when masters die (default 6443)', wholeNumber)
    .addOption(
      new Option('--runtime <runtime>', 'what runs the pods').choices(['auto', 'docker', 'cri', 'native', 'fake']),
    )
    .option(
      '--runtime-endpoint <unix:///path>',
      'where the runtime for --runtime cri listens (default: containerd’s usual socket)',
    )
    .option('--restart-delay <seconds>', 'how long a process that died stays away (default 5)', seconds)
    .option('--fast-failover', 'a dead node’s pods run elsewhere within 30 s')
    .option('--scheduler-config <file>', 'a KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1)')
    .addOption(featureGatesOption())
    .option(
      '--authentication-config <file>',
      'an AuthenticationConfiguration (apiserver.config.k8s.io/v1beta1); read again when it changes',
    )
    .option('--ingress-http-port <port>', 'where Ingresses are reached, or off (default: --port + 18)', portOrOff)
    .option('--ingress-https-port <port>', 'the same over TLS (default: --port + 19)', portOrOff)
    .option('--detach', 'return once the cluster is up, and leave it running')
    .addHelpText(
      'after',
      `
Examples:
  raftsman up                                      three masters and two nodes, in the foreground
  raftsman up --masters 1 --nodes 1                the smallest cluster
  raftsman up --detach --data-dir ./lab --port 7443
  raftsman down --data-dir ./lab --purge           stop it and remove its data`,
    )
    .action(async (flags: Flags) => {
      const nodeFlags = handedOnArguments(nodeOptions(), command.opts());
      if (flags.detach) await detach(flags, nodeFlags, context);
      else await foreground(flags, nodeFlags, context);
    });
  for (const option of handedOn(nodeOptions())) command.addOption(option.helpGroup('Options of all nodes:'));
}

async function foreground(flags: Flags, nodeFlags: readonly string[], context: CommandContext): Promise<void> {
  const stop = new AbortController();
  const release = context.onSignal(['SIGINT', 'SIGTERM', 'SIGHUP'], () => stop.abort());
  try {
    using _collection = context.collectWhenIdle();
    await up(
      {
        dataDir: flags.dataDir,
        masters: flags.masters,
        nodes: flags.nodes,
        port: flags.port,
        runtime: flags.runtime,
        runtimeEndpoint: flags.runtimeEndpoint,
        restartDelayMs: flags.restartDelay === undefined ? undefined : flags.restartDelay * 1000,
        isFastFailover: flags.fastFailover === true,
        schedulerConfig: flags.schedulerConfig,
        masterFlags: featureGatesArguments(flags.featureGates),
        authenticationConfig: flags.authenticationConfig,
        ingress: {
          ...(flags.ingressHttpPort !== undefined && { http: flags.ingressHttpPort }),
          ...(flags.ingressHttpsPort !== undefined && { https: flags.ingressHttpsPort }),
        },
        nodeFlags,
      },
      {
        command: context.command,
        env: { ...context.env },
        out: context.stdout,
        pid: context.pid,
        machineAddress: advertised('0.0.0.0'),
        chooseRuntime: async (choice, endpoint) =>
          (await import('../../node/main.ts')).chooseRuntime(choice, context.env, endpoint),
        delay: context.delay,
        every: context.every,
        random: context.random,
        stop: stop.signal,
      },
    );
  } catch (error) {
    if (!(error instanceof StoppedError)) throw error;
  } finally {
    release();
  }
}

/** Runs the same command in the background with its words in `DIR/log`, and repeats them here until all is ready. */
async function detach(flags: Flags, nodeFlags: readonly string[], context: CommandContext): Promise<void> {
  const directory = resolve(flags.dataDir);
  await mkdir(directory, { recursive: true });
  const logFile = paths.supervisorLog(directory);
  const from = existsSync(logFile) ? (await readFile(logFile)).length : 0;
  const log = openSync(logFile, 'a');
  const [program, ...leading] = context.command;
  const flag = (name: string, value: string | number | undefined) => (value === undefined ? [] : [name, String(value)]);
  const child = spawn(
    program,
    [
      ...leading,
      'up',
      ...flag('--data-dir', directory),
      ...flag('--masters', flags.masters),
      ...flag('--nodes', flags.nodes),
      ...flag('--port', flags.port),
      ...flag('--runtime', flags.runtime),
      ...flag('--runtime-endpoint', flags.runtimeEndpoint),
      ...flag('--restart-delay', flags.restartDelay),
      ...(flags.fastFailover ? ['--fast-failover'] : []),
      ...flag('--scheduler-config', flags.schedulerConfig),
      ...featureGatesArguments(flags.featureGates),
      ...flag('--authentication-config', flags.authenticationConfig),
      ...flag('--ingress-http-port', flags.ingressHttpPort),
      ...flag('--ingress-https-port', flags.ingressHttpsPort),
      ...nodeFlags,
    ],
    { detached: true, stdio: ['ignore', log, log], env: { ...context.env } },
  );
  let ended: string | undefined;
  child.once('exit', (code, signal) => {
    ended = signal ?? `exit code ${code}`;
  });
  child.once('error', error => {
    ended = error.message;
  });
  let shown = from;
  for (;;) {
    const over = ended;
    const text = await readFile(logFile);
    const news = text.subarray(shown).toString();
    shown = text.length;
    context.stdout.write(news);
    if (text.subarray(from).includes(UP_LINE) && text.subarray(from).includes(' in all)')) break;
    if (over !== undefined) throw new UsageError(`the cluster did not start (${over}); the log is ${logFile}`);
    await context.delay(FOLLOW_MS);
  }
  context.stdout.write(
    `It runs in the background as process ${child.pid}; \`raftsman down --data-dir ${directory}\` stops it.\n`,
  );
  child.unref();
}
