/** Ports of a pod: the pairs of the command line, and the bytes of one connection over a WebSocket. */
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import test from 'ava';
import { WebSocketServer } from 'ws';
import type { Pod, Service } from '../../control/api/generated/types.ts';
import { parsePair, remotePort } from '../commands/port-forward.ts';
import { forwardConnection } from './port-forward.ts';

test('a pair is a port here and one there', t => {
  t.deepEqual(parsePair('80'), { local: 80, remote: '80' });
  t.deepEqual(parsePair('8080:80'), { local: 8080, remote: '80' });
  t.deepEqual(parsePair(':80'), { local: 0, remote: '80' });
  t.deepEqual(parsePair('8080:http'), { local: 8080, remote: 'http' });
  t.deepEqual(parsePair('http'), { local: -1, remote: 'http' });
  for (const text of ['', ':', 'a:80', '1:2:3', '99999:80', 'A b']) t.throws(() => parsePair(text), undefined, text);
});

test('a service’s port leads to the port of the pod', t => {
  const pod = {
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', ports: [{ containerPort: 8080, name: 'web' }] }] },
  } as Pod;
  const service = (port: object) => ({ metadata: { name: 's' }, spec: { ports: [port] } }) as Service;
  t.is(remotePort('web', pod, undefined), 8080);
  t.is(remotePort('81', pod, undefined), 81);
  t.throws(() => remotePort('nope', pod, undefined), { message: /does not have a named port 'nope'/ });
  t.is(remotePort('80', pod, service({ port: 80, targetPort: 'web' })), 8080);
  t.is(remotePort('80', pod, service({ port: 80, targetPort: 9090 })), 9090);
  t.is(remotePort('main', pod, service({ port: 80, name: 'main' })), 80);
  t.throws(() => remotePort('81', pod, service({ port: 80 })), { message: /does not have a service port 81/ });
});

/** An agent that answers in capitals, or says that it cannot. */
async function agent(t: { teardown(work: () => void): void }, failure = ''): Promise<string> {
  const server = http.createServer();
  const sockets = new WebSocketServer({ server, handleProtocols: () => 'v4.channel.k8s.io' });
  sockets.on('connection', socket => {
    for (const channel of [0, 1]) socket.send(Buffer.of(channel, 80, 0));
    if (failure) socket.send(Buffer.concat([Buffer.of(1), Buffer.from(failure)]));
    socket.on('message', (data: Buffer) => {
      const text = data.subarray(1).toString();
      socket.send(Buffer.concat([Buffer.of(0), Buffer.from(text.toUpperCase())]));
      if (text.includes('bye')) socket.close();
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    sockets.close();
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function exchange(t: { teardown(work: () => void): void }, url: string, text: string) {
  const connection = { server: url, tls: {}, token: undefined, headers: {}, repeatedHeaders: {}, namespace: 'default' };
  const outcome = Promise.withResolvers<unknown>();
  const listener = net.createServer(client => {
    forwardConnection(connection, '/portforward?ports=80', client).then(outcome.resolve, error => {
      client.destroy();
      outcome.resolve(error);
    });
  });
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve));
  t.teardown(() => listener.close());
  const client = net.connect((listener.address() as AddressInfo).port, '127.0.0.1');
  const chunks: Buffer[] = [];
  client.on('data', chunk => chunks.push(chunk));
  client.on('error', () => undefined);
  client.write(text);
  const ended = await outcome.promise;
  await new Promise(resolve => (client.closed ? resolve(undefined) : client.once('close', resolve)));
  return { text: Buffer.concat(chunks).toString(), ended };
}

test('bytes go both ways, and the end is passed on', async t => {
  const { text, ended } = await exchange(t, await agent(t), 'hello, bye');
  t.is(text, 'HELLO, BYE');
  t.is(ended, undefined);
});

test('what the pod’s node says went wrong is told', async t => {
  const { ended } = await exchange(t, await agent(t, 'connection refused'), 'hello');
  t.regex(String(ended), /connection refused/);
});
