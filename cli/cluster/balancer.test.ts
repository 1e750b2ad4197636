import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import test from 'ava';
import { freePort } from '../../raft/transport/testing/free-port.ts';
import { type Backend, Balancer, orderBackends } from './balancer.ts';

async function startEcho(name: string) {
  const server = createServer(socket => {
    socket.on('error', () => {});
    socket.end(name);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const backend: Backend = { name, host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  return { backend, close: () => new Promise(resolve => server.close(resolve)) };
}
const never = () => ({ [Symbol.dispose]: () => {} });
async function ask(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

test('ready backends come first', t => {
  const backend = (name: string): Backend => ({ name, host: 'h', port: 1 });
  const order = orderBackends([backend('a'), backend('b'), backend('c')], new Set(['b']), () => 0.5);
  t.is(order[0]?.name, 'b');
  t.is(order.length, 3);
});

test('a dead backend is passed over, and nothing but a closed connection comes when all are dead', async t => {
  const [one, two] = await Promise.all([startEcho('one'), startEcho('two')]);
  const port = await freePort();
  const balancer = new Balancer({
    host: '127.0.0.1',
    port,
    backends: [one.backend, two.backend],
    isReady: async () => true,
    every: never,
    random: () => 0,
  });
  await balancer.listen();
  t.is(await ask(port), 'one');
  await one.close();
  t.is(await ask(port), 'two');
  await two.close();
  t.is(await ask(port), '');
  await balancer.close();
});
