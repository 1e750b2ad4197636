/** How long after Services and their endpoints were written the node's rules are in place: many at once, and one more. */
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import * as kinds from '../../../control/api/generated/kinds.ts';
import type { EndpointSlice, Service } from '../../../control/api/generated/types.ts';
import type { RestClient } from '../../../control/client/rest.ts';
import { until } from '../../helpers/run.ts';
import { median } from '../measure.ts';
import { NAMESPACE, type PodWatch } from './pod-watch.ts';
import { useOf } from './processes.ts';

export interface ServicesOptions {
  readonly client: RestClient;
  readonly pods: PodWatch;
  readonly count: number;
  /** The node's agent. */
  readonly agentPid: number;
  /** Whether this address and port lead somewhere; asks the node's proxy, so that nothing leaves the machine before they do. */
  readonly isInPlace: (address: string, port: number) => Promise<boolean>;
  readonly print: (line: string) => void;
}

const WRITES_AT_ONCE = 16;
const MORE = 10;
const TARGET = 'services-target';
const TARGET_PORT = 8002;
const PROGRAM = fileURLToPath(new URL('./traffic-pod.ts', import.meta.url));
const TRY_MS_MAX = 250;
const LOOK_MS = 2;
const WAIT_MS_MAX = 60_000;
/** Until the agent has done what follows on a change, so that it counts with the change that it is of. */
const SETTLE_MS = 1_000;

/** Prints the time from the last write's answer until all are reached, and the same for one service more. */
export async function benchServices(options: ServicesOptions): Promise<void> {
  const { pods, count, agentPid, print } = options;
  const command = [process.execPath, PROGRAM, 'serve'];
  await pods.create(TARGET, { containers: [{ name: 'c', image: 'host', command }] });
  await pods.running(TARGET);
  const target = await pods.addressOf(TARGET);
  try {
    await until('the target answers', () => isReached(target, TARGET_PORT), WAIT_MS_MAX);
    const addresses: string[] = [];
    const startedMs = performance.now();
    let next = 0;
    const write = async () => {
      for (let number = next++; number < count; number = next++) {
        addresses.push(await makeService(options, `service-${number}`, target));
      }
    };
    await Promise.all(Array.from({ length: WRITES_AT_ONCE }, write));
    const writtenMs = performance.now();
    const inPlaceMs = await allInPlace(options, addresses);
    print(
      `${count.toLocaleString('en')} services written in ${seconds(writtenMs - startedMs)}; rules of all in place ${milliseconds(inPlaceMs - writtenMs)} after the last write`,
    );
    const times: number[] = [];
    await pause(SETTLE_MS);
    const before = await useOf(agentPid);
    for (let number = 0; number < MORE; number++) {
      const address = await makeService(options, `more-${number}`, target);
      const madeMs = performance.now();
      times.push((await allInPlace(options, [address])) - madeMs);
    }
    await pause(SETTLE_MS);
    const usedSeconds = (await useOf(agentPid)).processorSeconds - before.processorSeconds;
    print(
      `one service more beside them, ${MORE} times: in place ${milliseconds(median(times))} after its write in the middle, ${milliseconds(Math.max(...times))} at most; ${milliseconds((usedSeconds * 1_000) / MORE)} of processor for each, the agent's and that of the programs it ran`,
    );
  } finally {
    await pods.delete([TARGET]);
  }
}

/** A Service without a selector and the slice that says where it leads. Gives its address. */
async function makeService({ client }: ServicesOptions, name: string, target: string): Promise<string> {
  const slice: EndpointSlice = {
    metadata: { name, namespace: NAMESPACE, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [target], conditions: { ready: true } }],
    ports: [{ name: 'c', port: TARGET_PORT, protocol: 'TCP' }],
  };
  await client.create(kinds.endpointslices, slice);
  const service: Service = {
    metadata: { name, namespace: NAMESPACE },
    spec: { ports: [{ name: 'c', port: TARGET_PORT }] },
  };
  const made = await client.create(kinds.services, service);
  return made.spec?.clusterIP ?? '';
}

/** When the rules of all were in place; the newest is asked for first, because they come in order. Throws if one does not answer. */
async function allInPlace({ isInPlace }: ServicesOptions, addresses: readonly string[]): Promise<number> {
  const deadlineMs = performance.now() + WAIT_MS_MAX;
  const newest = addresses.at(-1);
  while (newest !== undefined && !(await isInPlace(newest, TARGET_PORT))) {
    if (performance.now() > deadlineMs) throw new Error(`${newest} has no rules in time`);
    await new Promise(resolve => setTimeout(resolve, LOOK_MS));
  }
  let atMs = performance.now();
  for (const address of addresses) {
    // What is behind the newest, if anything is, counts.
    for (let isLate = false; !(await isReached(address, TARGET_PORT)); isLate = true) {
      if (performance.now() > deadlineMs) throw new Error(`${address} is not reached in time`);
      if (isLate) atMs = performance.now();
    }
  }
  return atMs;
}

/** Whether a connection to it is taken. */
export function isReached(host: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, host);
    const end = (isThere: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(isThere);
    };
    const timer = setTimeout(() => end(false), TRY_MS_MAX);
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

const pause = (delayMs: number) => new Promise<void>(resolve => setTimeout(resolve, delayMs));
const milliseconds = (ms: number) => `${ms.toFixed(0)} ms`;
const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
