import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../clock.ts';
import { SupervisorClient } from './supervisor-client.ts';

/** A client of a supervisor that behaves so. */
async function clientOf(t: ExecutionContext, serve: (socket: Socket) => void): Promise<SupervisorClient> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'raftsman-client-'));
  const socketPath = path.join(dataDir, 'sock');
  const server = createServer(socket => socket.once('data', () => serve(socket)));
  await new Promise<void>(resolve => server.listen(socketPath, resolve));
  t.teardown(async () => {
    server.close();
    await rm(dataDir, { recursive: true, force: true });
  });
  return new SupervisorClient({ dataDir, socketPath, clock: systemClock });
}

test('a refusal is told, with the connection closed', async t => {
  const closed = Promise.withResolvers<void>();
  const client = await clientOf(t, socket => {
    socket.once('close', () => closed.resolve());
    socket.write('{"result":"failed","message":"exec: „x“: not found"}\n');
  });
  await t.throwsAsync(client.ask({ ask: 'start', id: 'x' }), {
    code: 'RUNTIME_SUPERVISOR_REFUSED',
    message: 'exec: „x“: not found',
  });
  await closed.promise;
});

test('an answer that is none is an error of the call, not of the process', async t => {
  for (const answer of ['no JSON\n', '{"result":"maybe"}\n', 'x'.repeat(100_000)]) {
    const client = await clientOf(t, socket => socket.write(answer));
    await t.throwsAsync(client.ask({ ask: 'hello' }));
    await t.throwsAsync(client.current(), undefined, 'it does not pass for one that is gone');
  }
});

test('one that hangs up without an answer is gone', async t => {
  const client = await clientOf(t, socket => socket.destroy());
  await t.throwsAsync(client.ask({ ask: 'hello' }), { message: /hung up|ECONNRESET/ });
  t.is(await client.current(), undefined);
});

test('where nobody listens there is none', async t => {
  const client = new SupervisorClient({ dataDir: '/nowhere', socketPath: '/nowhere/sock', clock: systemClock });
  t.is(await client.current(), undefined);
});
