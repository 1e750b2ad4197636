/** For tests: runs one proxy inside a network namespace, told what to do by lines of JSON on its input. */
import { createInterface } from 'node:readline';
import { createNftablesProxy } from './nftables/nftables.ts';
import type { ServicePort, ServiceProxy } from './proxy.ts';
import { createUserspaceProxy } from './userspace/userspace.ts';

export type Order =
  | { readonly call: 'start'; readonly options: Parameters<ServiceProxy['start']>[0] }
  | { readonly call: 'sync'; readonly ports: readonly ServicePort[] }
  | { readonly call: 'close'; readonly remove: boolean };

const [kind, nodeName = ''] = process.argv.slice(2);
const options = { clusterId: 'test', nodeName };
const proxy = kind === 'nftables' ? createNftablesProxy(options) : createUserspaceProxy(options);

async function obey(order: Order): Promise<void> {
  if (order.call === 'start') await proxy.start(order.options);
  else if (order.call === 'sync') await proxy.sync(order.ports);
  else await proxy.close({ remove: order.remove });
}

for await (const line of createInterface({ input: process.stdin })) {
  const order: Order = JSON.parse(line);
  const answer = await obey(order).then(
    () => 'ok',
    (error: unknown) => String(error),
  );
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
