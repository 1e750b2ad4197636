/** Gathers what a container is made from (environment, volumes, files) and has the runtime make it. */
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConfigMap, Container, EphemeralContainer, Pod, Secret } from '../api.ts';
import { TERMINATION_LOG_BYTES_MAX, TERMINATION_LOG_LINES_MAX, TERMINATION_MESSAGE_BYTES_MAX } from '../limits.ts';
import type { ContainerStatus, Device } from '../runtime/runtime.ts';
import { writePodFiles } from '../volumes/pod-files.ts';
import { Announcer } from './announce.ts';
import { makeContainerSpec, type NodeProfile, seccompFileOf, subPathOf } from './container-spec.ts';
import type { PodContext } from './context.ts';
import { type EnvironmentContext, makeEnvironment, referencesOf, type Variable } from './environment.ts';

type AnyContainer = Container | EphemeralContainer;

export interface MakeRequest {
  readonly pod: Pod;
  readonly container: AnyContainer;
  readonly attempt: number;
  readonly sandboxId: string;
  /** Its addresses, the primary one first. */
  readonly podIPs: readonly string[];
}

/**
 * Makes the container and gives its id. Throws `ConfigError`, `VolumeError` or `SourceError` for what its spec refers to,
 * `CreateContainerError` for what the runtime refuses.
 */
export async function makeContainer(context: PodContext, request: MakeRequest): Promise<string> {
  const { pod, container, attempt, sandboxId, podIPs } = request;
  const { node, volumes } = context;
  const podDir = volumes.podDir(pod.metadata?.uid ?? '');
  const env = await environmentOf(context, request);
  const volumePaths: string[] = [];
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const subPath = subPathOf(mount, env);
    volumePaths.push(await volumes.pathOf(pod, { volume: mount.name, container: container.name, index, subPath }));
  }
  const devices: Device[] = [];
  for (const { name, devicePath } of container.volumeDevices ?? [])
    devices.push({ hostPath: await volumes.devicePathOf(pod, name), containerPath: devicePath });
  const files = await writePodFiles(podDir, pod, {
    podIP: pod.spec?.hostNetwork ? undefined : (podIPs[0] ?? ''),
    podIPs,
    nodeResolvConf: node.resolvConf,
    clusterDns: node.clusterDns,
    nodeHostname: node.hostname,
  });
  const announcer = new Announcer(context.recorder, pod);
  for (const warning of files.warnings) announcer.tell('Warning', 'DNSConfigForming', warning);
  const terminationMessageFile = await makeTerminationFile(podDir, container.name, attempt);
  const spec = makeContainerSpec({
    pod,
    container,
    attempt,
    env,
    volumePaths,
    devices,
    files,
    terminationMessageFile,
    nodeMemoryBytes: node.memoryBytes,
    seccomp: await readSeccomp(node.seccompFolder, seccompFileOf(pod, container)),
  });
  const { id } = await context.operations.run(() => context.runtime.createContainer(sandboxId, spec));
  return id;
}

async function readSeccomp(folder: string, name: string | undefined): Promise<NodeProfile | undefined> {
  if (name === undefined) return undefined;
  const path = join(folder, name);
  try {
    const text = await readFile(path, 'utf8');
    JSON.parse(text);
    // As it stands there: what is written anew from JSON's numbers has lost the last digits of 64 bits.
    return { text, path };
  } catch (error) {
    throw new Error(
      `cannot load seccomp profile ${JSON.stringify(path)}: ${error instanceof Error ? error.message : error}`,
    );
  }
}

/** What downward API fields and environment variables are filled from. */
export function downwardContext(context: PodContext, pod: Pod, podIPs: readonly string[]) {
  const { node } = context;
  return {
    pod,
    podIP: podIPs[0] ?? '',
    podIPs,
    hostIP: node.addresses[0] ?? '',
    hostIPs: node.addresses,
    nodeName: node.name,
    allocatable: { cpuMilli: node.cpuMilli, memoryBytes: node.memoryBytes, storageBytes: node.storageBytes },
  };
}

async function environmentOf(context: PodContext, { pod, container, podIPs }: MakeRequest): Promise<Variable[]> {
  const namespace = pod.metadata?.namespace ?? '';
  const names = referencesOf(container);
  const configMaps = new Map<string, ConfigMap | undefined>();
  const secrets = new Map<string, Secret | undefined>();
  await Promise.all([
    ...names.configMaps.map(async name => configMaps.set(name, await context.sources.configMap(namespace, name))),
    ...names.secrets.map(async name => secrets.set(name, await context.sources.secret(namespace, name))),
  ]);
  const input: EnvironmentContext = {
    ...downwardContext(context, pod, podIPs),
    container,
    services: context.services(),
    lookups: { configMap: name => configMaps.get(name), secret: name => secrets.get(name) },
  };
  return makeEnvironment(input);
}

const terminationFile = (podDir: string, container: string, attempt: number) =>
  join(podDir, 'containers', container, String(attempt));

async function makeTerminationFile(podDir: string, container: string, attempt: number): Promise<string> {
  const path = terminationFile(podDir, container, attempt);
  await mkdir(join(path, '..'), { recursive: true, mode: 0o755 });
  const file = await open(path, 'w', 0o666);
  // Whatever user the container runs as has to be able to write it; the umask would forbid that.
  await file.chmod(0o666);
  await file.close();
  return path;
}

export function removeTerminationFile(podDir: string, { name, attempt }: ContainerStatus): Promise<void> {
  return rm(terminationFile(podDir, name, attempt), { force: true });
}

/** What a container that ended left as its last words: its message file, or the end of its log where asked for. */
export async function readTerminationMessage(
  context: PodContext,
  at: { readonly pod: Pod; readonly container: AnyContainer; readonly status: ContainerStatus & { state: 'exited' } },
): Promise<string> {
  const { pod, container, status } = at;
  const path = terminationFile(context.volumes.podDir(pod.metadata?.uid ?? ''), container.name, status.attempt);
  const bytes = await readFile(path).catch(() => Buffer.alloc(0));
  const text = bytes.subarray(0, TERMINATION_MESSAGE_BYTES_MAX).toString('utf8');
  if (text !== '' || container.terminationMessagePolicy !== 'FallbackToLogsOnError' || status.exitCode === 0)
    return text;
  const chunks: Uint8Array[] = [];
  const signal = new AbortController().signal;
  const options = { follow: false, timestamps: false, tailLines: TERMINATION_LOG_LINES_MAX, signal };
  for await (const chunk of context.runtime.logs(status.id, options)) chunks.push(chunk);
  return Buffer.concat(chunks).subarray(-TERMINATION_LOG_BYTES_MAX).toString('utf8');
}
