import process from 'node:process';
import test from 'ava';
import { interfacesOf, parseInterfaces } from './interfaces.ts';

test('what the kernel counts of each interface, without those that count nothing of their own', t => {
  const table = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    9999      10    0    0    0     0          0         0     9999      10    0    0    0     0       0          0
  eth0:    1500      11    3    5    0     0          0         0     2500      12    4    6    0     0       0          0
veth12ab:    1       1    0    0    0     0          0         0        1       1    0    0    0     0       0          0
docker0:     1       1    0    0    0     0          0         0        1       1    0    0    0     0       0          0
broken: x
`;
  t.deepEqual(parseInterfaces(table), [
    {
      ...{ name: 'eth0', receivedBytes: 1500, receivedPackets: 11, receiveErrors: 3, receiveDrops: 5 },
      ...{ sentBytes: 2500, sentPackets: 12, sendErrors: 4, sendDrops: 6 },
    },
  ]);
});

test('a process has interfaces while it is there', async t => {
  t.truthy(await interfacesOf(process.pid));
  t.is(await interfacesOf(2 ** 30), undefined);
});
