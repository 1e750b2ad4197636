/** A pod that asks another straight and through its Service, and asks the node's resolver for names. */
import { fileURLToPath } from 'node:url';
import * as kinds from '../../../control/api/generated/kinds.ts';
import type { Service } from '../../../control/api/generated/types.ts';
import type { RestClient } from '../../../control/client/rest.ts';
import { median } from '../measure.ts';
import { NAMESPACE, type PodWatch } from './pod-watch.ts';
import type { MeasureOrder, Measures, Rate } from './traffic-pod.ts';

export interface TrafficOptions {
  readonly client: RestClient;
  readonly pods: PodWatch;
  readonly rounds: number;
  readonly secondsEach: number;
  readonly print: (line: string) => void;
}

/** As `BYTES_PORT` and `CONNECTIONS_PORT` of the pods' program, which does its work when it is imported. */
const PORTS = [8001, 8002];
const PROGRAM = fileURLToPath(new URL('./traffic-pod.ts', import.meta.url));
const SERVER = 'traffic-server';
const CLIENT = 'traffic-client';

/** Prints the medians of the rounds. */
export async function benchTraffic(options: TrafficOptions): Promise<void> {
  const { client, pods, rounds, secondsEach, print } = options;
  await pods.create(SERVER, { containers: [program('serve')] });
  await pods.running(SERVER);
  const address = await pods.addressOf(SERVER);
  const service: Service = {
    metadata: { name: SERVER, namespace: NAMESPACE },
    spec: { selector: { app: SERVER }, ports: PORTS.map(port => ({ name: `p${port}`, port })) },
  };
  const made = await client.create(kinds.services, service);
  const dns = await client.get(kinds.services, { namespace: 'kube-system', name: 'kube-dns' });
  const order: MeasureOrder = {
    ways: { 'straight to the pod': address, 'through the ClusterIP': made.spec?.clusterIP ?? '' },
    nameserver: dns.spec?.clusterIP ?? '',
    name: `${SERVER}.${NAMESPACE}.svc.cluster.local`,
    rounds,
    secondsEach,
  };
  try {
    await pods.create(CLIENT, { restartPolicy: 'Never', containers: [program('measure', JSON.stringify(order))] });
    tell(JSON.parse(await pods.output(CLIENT)) as Measures, Object.keys(order.ways), print);
  } finally {
    await client.delete(kinds.services, { namespace: NAMESPACE, name: SERVER });
    await pods.delete([SERVER, CLIENT]);
  }
}

/** The machine's own files serve as the image: Node and this folder are there. */
function program(...words: readonly string[]) {
  return { name: 'c', image: 'host', command: [process.execPath, PROGRAM, ...words] };
}

function tell(
  { bytesPerSecond, connections, answers }: Measures,
  ways: readonly string[],
  print: TrafficOptions['print'],
) {
  const [direct = Number.NaN] = ways.map(way => median(bytesPerSecond[way] ?? []));
  for (const way of ways) {
    const bytes = median(bytesPerSecond[way] ?? []);
    print(`${`bytes ${way}`.padEnd(40)} ${(bytes / 1e6).toFixed(0).padStart(8)} MB/s  ${share(bytes, direct)}`);
  }
  const [straight = Number.NaN] = ways.map(way => ratesOf(connections[way]).perSecond);
  for (const way of ways) print(rateRow(`connections ${way}`, ratesOf(connections[way]), straight));
  for (const [atOnce, rates] of Object.entries(answers))
    print(rateRow(`DNS answers, ${atOnce} at once`, ratesOf(rates)));
}

interface Told {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failures: number;
}

function ratesOf(rates: readonly Rate[] = []): Told {
  const at = (which: number) =>
    median(
      rates.map(
        ({ latenciesMs }) =>
          [...latenciesMs].sort((a, b) => a - b)[Math.floor(latenciesMs.length * which)] ?? Number.NaN,
      ),
    );
  const failures = rates.reduce((sum, rate) => sum + rate.failures, 0);
  return { perSecond: median(rates.map(({ perSecond }) => perSecond)), p50Ms: at(0.5), p99Ms: at(0.99), failures };
}

function rateRow(name: string, { perSecond, p50Ms, p99Ms, failures }: Told, first?: number): string {
  const rate = `${Math.round(perSecond).toLocaleString('en').padStart(8)}/s`;
  const compared = first === undefined ? '' : `  ${share(perSecond, first)}`;
  return `${name.padEnd(40)} ${rate}  p50 ${p50Ms.toFixed(2)} ms  p99 ${p99Ms.toFixed(2)} ms${compared}${failures > 0 ? `  ${failures} FAILED` : ''}`;
}

const share = (value: number, first: number) => `${(value / first).toFixed(2)} of straight`;
