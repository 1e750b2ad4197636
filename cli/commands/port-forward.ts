/** `raftsman port-forward`: ports of a pod on this machine. */
import net, { type AddressInfo } from 'node:net';
import type { Command } from 'commander';
import type { Pod, Service } from '../../control/api/generated/types.ts';
import { ApiError } from '../../control/api/status.ts';
import { resolveTargets } from '../client/arguments.ts';
import { pathOf } from '../client/discovery.ts';
import { CommandError, describeApiError, failure } from '../client/errors.ts';
import { findPod } from '../client/pods.ts';
import { forwardConnection } from '../client/port-forward.ts';
import { type Session, withSession } from '../client/session.ts';
import { usageFailure } from '../client/usage.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand, durationMs, list, withGlobalFlags } from './cluster-command.ts';

interface Flags {
  readonly address?: readonly string[];
  readonly podRunningTimeout: number;
}

/** kubectl waits as long for a pod to run. */
const RUNNING_TIMEOUT_MS = 60_000;
const POLL_MS = 250;

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('port-forward')
    .argument('[words...]')
    .usage('TYPE/NAME [LOCAL_PORT:]REMOTE_PORT [...[LOCAL_PORT_N:]REMOTE_PORT_N]')
    .summary('reach ports of a pod from this machine')
    .description('Makes ports of a pod, or of one pod of a service or a deployment, ports of this machine.')
    .option('--address <addresses>', 'the addresses to listen on; default: localhost', list)
    .option('--pod-running-timeout <duration>', 'how long to wait until a pod runs', durationMs, RUNNING_TIMEOUT_MS)
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman port-forward web-1 8080:80\n  raftsman port-forward svc/web :80\n  raftsman port-forward --address 0.0.0.0 deploy/web 8080:http',
    )
    .action(withSession<Flags>(context, forward));
  program.addCommand(withGlobalFlags(command));
}

interface Pair {
  readonly local: number;
  /** A number or a name. */
  readonly remote: string;
}

/** `8080:80`, `80`, `:80`, `8080:http`. @throws CommandError for anything else. */
export function parsePair(text: string): Pair {
  const parts = text.split(':');
  const [first = '', second] = parts;
  const remote = second ?? first;
  const local = second === undefined ? first : first;
  const isName = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(remote);
  const isLocalPort = local === '' || (/^\d+$/.test(local) && Number(local) <= 65_535);
  if (parts.length > 2 || !isName || (second !== undefined && !isLocalPort)) {
    throw failure(`invalid port format '${text}'`);
  }
  // A named port alone has the number of the pod's port here as well.
  const own = second === undefined && !/^\d+$/.test(first) ? -1 : Number(local || 0);
  return { local: own, remote };
}

async function forward(session: Session, words: readonly string[], flags: Flags, self: Command): Promise<void> {
  const [word, ...texts] = words;
  if (word === undefined || texts.length === 0) {
    throw usageFailure(self, 'TYPE/NAME and list of ports are required for port-forward');
  }
  const pairs = texts.map(parsePair);
  const { pod, service } = await findTarget(session, word, flags);
  const { phase } = pod.status ?? {};
  if (phase !== 'Running') {
    throw failure(`unable to forward port because pod is not running. Current status=${phase}`);
  }
  const { namespace = session.namespace, name = '' } = pod.metadata ?? {};
  const pods = await session.discovery.find('pods');
  const gone = Promise.withResolvers<void>();
  const servers: net.Server[] = [];
  const forget = session.context.onSignal(['SIGINT', 'SIGTERM'], () => gone.resolve());
  try {
    for (const pair of pairs) {
      const port = remotePort(pair.remote, pod, service);
      const path = `${pathOf(pods, namespace, name, 'portforward')}?ports=${port}`;
      servers.push(...(await listenOn(session, { pair, port, path, addresses: flags.address ?? ['localhost'] })));
    }
    await gone.promise;
  } finally {
    forget();
    for (const server of servers) server.close();
  }
}

async function findTarget(
  session: Session,
  word: string,
  flags: Flags,
): Promise<{ pod: Pod; service: Service | undefined }> {
  const { targets } = await resolveTargets(word.includes('/') ? [word] : ['pods', word], session.discovery);
  const [target] = targets;
  const service =
    target?.resource.kind === 'Service' && target.name !== undefined
      ? await session.api.json<Service>('GET', pathOf(target.resource, session.namespace, target.name))
      : undefined;
  const deadline = session.context.clock.now() + flags.podRunningTimeout;
  for (;;) {
    const pod = await findPod(session, word, { timeoutMs: deadline - session.context.clock.now() });
    const isDone = ['Running', 'Succeeded', 'Failed'].includes(pod.status?.phase ?? '');
    if (isDone || session.context.clock.now() >= deadline) return { pod, service };
    await session.context.delay(POLL_MS);
  }
}

/** The pod's port for a number or a name; of a service, for its own port. */
export function remotePort(text: string, pod: Pod, service: Service | undefined): number {
  const named = (name: string): number => {
    const ports = (pod.spec?.containers ?? []).flatMap(container => container.ports ?? []);
    const found = ports.find(port => port.name === name);
    if (!found) throw failure(`Pod '${pod.metadata?.name}' does not have a named port '${name}'`);
    return found.containerPort;
  };
  const isNumber = /^\d+$/.test(text);
  if (!service) return isNumber ? Number(text) : named(text);
  const found = (service.spec?.ports ?? []).find(port => (isNumber ? port.port === Number(text) : port.name === text));
  if (!found) {
    throw failure(`Service ${service.metadata?.name} does not have a service port ${text}`);
  }
  const target = found.targetPort ?? found.port;
  if (service.spec?.clusterIP === 'None') return found.port;
  return typeof target === 'number' ? target || found.port : named(target);
}

interface Listening {
  readonly pair: Pair;
  readonly port: number;
  readonly path: string;
  readonly addresses: readonly string[];
}

async function listenOn(session: Session, { pair, port, path, addresses }: Listening): Promise<net.Server[]> {
  const hosts = addresses.flatMap(address => (address === 'localhost' ? ['127.0.0.1', '::1'] : [address]));
  const servers: net.Server[] = [];
  let local = pair.local < 0 ? port : pair.local;
  for (const host of hosts) {
    const server = net.createServer({ allowHalfOpen: true }, client => {
      session.print(`Handling connection for ${local}`);
      forwardConnection(session.connection, path, client).catch((error: unknown) => {
        client.destroy();
        session.error(`an error occurred forwarding ${local} -> ${port}: ${messageOf(error)}`);
      });
    });
    try {
      await listening(server, local, host);
    } catch (error) {
      // A machine without IPv6 has no ::1.
      if (host === '::1' && servers.length > 0) continue;
      throw failure(`unable to listen on port ${local}: ${error instanceof Error ? error.message : error}`, error);
    }
    local = (server.address() as AddressInfo).port;
    servers.push(server);
    session.print(`Forwarding from ${host.includes(':') ? `[${host}]` : host}:${local} -> ${port}`);
  }
  return servers;
}

function messageOf(error: unknown): string {
  if (error instanceof ApiError) return describeApiError(error);
  return error instanceof CommandError ? error.message.replace(/^error: /, '') : String(error);
}

function listening(server: net.Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
