/** Runtime, pod network and service proxy, as this machine has them. */
import { platform } from 'node:os';
import { join } from 'node:path';
import { createBridgeNetwork } from './network/bridge.ts';
import type { PodNetwork } from './network/network.ts';
import { createNoNetwork } from './network/none.ts';
import type { NodeNetworkMode } from './network/way.ts';
import type { NodeContext, RuntimeName } from './node-options.ts';
import { createNftablesEnforcer, type PolicyEnforcer } from './policy/enforcer.ts';
import { chooseProxy } from './proxy/choose.ts';
import type { ServiceProxy } from './proxy/proxy.ts';
import { isRoot } from './runtime/processes.ts';
import { type Runtime, RuntimeUnavailableError } from './runtime/runtime.ts';

// Each runtime is read when it is chosen: the clients of the others would be a fifth of a small agent's memory.
const [docker, cri, native, fake] = [
  () => import('./runtime/docker/docker.ts'),
  () => import('./runtime/cri/cri.ts'),
  () => import('./runtime/native/native.ts'),
  () => import('./runtime/fake.ts'),
];

/** What a node is built on. */
export interface MachineParts {
  readonly runtime: Runtime;
  readonly network: PodNetwork;
  readonly proxy?: ServiceProxy;
  readonly policyEnforcer?: PolicyEnforcer;
  readonly proxyKind?: 'nftables' | 'userspace';
}
export interface PartsOptions {
  readonly name: string;
  readonly dataDir: string;
  readonly runtime: RuntimeName;
  readonly runtimeEndpoint?: string | undefined;
  readonly clusterId: string;
  readonly nodeNetwork?: NodeNetworkMode;
  readonly registriesFile?: string | undefined;
  readonly env: NodeContext['env'];
}

/** The parts that are there, none of them started. */
export async function assembleParts(options: PartsOptions): Promise<MachineParts> {
  const { name, dataDir, runtime, runtimeEndpoint, clusterId, env, nodeNetwork, registriesFile } = options;
  if (runtime === 'fake') {
    const { createFakeRuntime } = await fake();
    return { runtime: createFakeRuntime({ nodeName: name }), network: createNoNetwork() };
  }
  const network = createBridgeNetwork({ clusterId, nodeName: name, dataDir, ...(nodeNetwork && { nodeNetwork }) });
  const { proxy, kind: proxyKind } = await chooseProxy({ clusterId, nodeName: name });
  const policyEnforcer = createNftablesEnforcer({ clusterId, nodeName: name });
  // Every runtime leaves the network to us, so all else is the same for each.
  const shared = { network, proxy, proxyKind, policyEnforcer };
  if (runtime === 'native') {
    const { createNativeRuntime } = await native();
    const registries = registriesFile === undefined ? {} : { registriesFile };
    return { ...shared, runtime: createNativeRuntime({ dataDir: join(dataDir, 'native'), ...registries }) };
  }
  if (runtime === 'cri') {
    const { createCriRuntime } = await cri();
    const endpoint = runtimeEndpoint === undefined ? {} : { endpoint: runtimeEndpoint };
    const criDir = join(dataDir, 'cri');
    return { ...shared, runtime: createCriRuntime({ clusterId, nodeName: name, dataDir: criDir, ...endpoint }) };
  }
  const { createDockerRuntime } = await docker();
  const engine = env.DOCKER_HOST ? { dockerHost: env.DOCKER_HOST } : {};
  return { ...shared, runtime: createDockerRuntime({ clusterId, nodeName: name, ...engine }) };
}

/**
 * Turns `auto` into what this machine has: Docker, else a CRI runtime that nobody else uses, else namespaces of our own.
 * @throws {RuntimeUnavailableError} with a sentence on what to install.
 */
export async function chooseRuntime(
  choice: 'auto' | RuntimeName,
  env: NodeContext['env'],
  runtimeEndpoint?: string,
): Promise<RuntimeName> {
  if (choice === 'fake') return choice;
  const isLinux = platform() === 'linux';
  if (!isLinux || !isRoot()) {
    const lack = isLinux
      ? 'root, for their network: run it as root (sudo)'
      : 'Linux, for their network: use a Linux machine';
    throw new RuntimeUnavailableError(`pods need ${lack}, or try --runtime fake, which only pretends to run pods`);
  }
  if (choice === 'native' || choice === 'cri') return choice;
  const { createDockerRuntime } = await docker();
  const engine = createDockerRuntime({
    clusterId: 'probe',
    nodeName: 'probe',
    ...(env.DOCKER_HOST && { dockerHost: env.DOCKER_HOST }),
  });
  try {
    await engine.start();
    return 'docker';
  } catch (error) {
    if (choice === 'docker') throw error;
    const { whyNotChosen } = await import('./runtime/cri/choose.ts');
    return (await whyNotChosen(runtimeEndpoint)) === undefined ? 'cri' : 'native';
  } finally {
    await engine.close();
  }
}
