import { status } from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';
import { method } from '../../grpc/method.ts';
import { Refusal, TestGrpcServer } from '../../testing/grpc-server.ts';
import { systemClock } from '../clock.ts';
import { RuntimeUnavailableError } from '../runtime.ts';
import { CriConnection, CriError, identify, isNotFound, socketPathOf } from './connection.ts';
import { runtimeCalls } from './services.ts';

const version = { version: '0.1.0', runtimeName: 'containerd', runtimeVersion: 'v2.1.0', runtimeApiVersion: 'v1' };

async function serverFor(t: ExecutionContext): Promise<{ server: TestGrpcServer; connection: CriConnection }> {
  const server = await TestGrpcServer.make();
  const connection = new CriConnection(server.endpoint, systemClock);
  t.teardown(async () => {
    connection.close();
    await server.remove();
  });
  return { server, connection };
}

test('endpoints: a unix socket or nothing', t => {
  t.is(socketPathOf('unix:///run/x.sock'), '/run/x.sock');
  t.is(socketPathOf('/run/x.sock'), '/run/x.sock');
  for (const wrong of ['tcp://127.0.0.1:1', 'unix://', 'run/x.sock', '/', '']) {
    t.throws(() => socketPathOf(wrong), { instanceOf: RuntimeUnavailableError, message: /is not understood/ }, wrong);
  }
});

test('no socket: what to install is said', async t => {
  const { connection } = await serverFor(t);
  await t.throwsAsync(identify(connection), {
    instanceOf: RuntimeUnavailableError,
    message: /no container runtime listens at .*install and start containerd 1.6 or CRI-O 1.25/,
  });
});

test('a runtime of runtime.v1 is known by its name', async t => {
  const { server, connection } = await serverFor(t);
  server.on(runtimeCalls.version, () => version);
  await server.listen();
  t.deepEqual(await identify(connection), { name: 'containerd', version: 'v2.1.0' });
});

test('one that is too old is told so, with its name', async t => {
  const { server, connection } = await serverFor(t);
  const { request, response } = runtimeCalls.version;
  const old = method('runtime.v1alpha2.RuntimeService', 'Version', { request, response });
  server.on(old, () => ({ ...version, runtimeVersion: 'v1.4.0' }));
  await server.listen();
  await t.throwsAsync(identify(connection), {
    instanceOf: RuntimeUnavailableError,
    message: /containerd v1.4.0 .* is too old/,
  });
});

test('a containerd whose CRI is switched off is told how to switch it on', async t => {
  const { server, connection } = await serverFor(t);
  await server.listen();
  await t.throwsAsync(identify(connection), { instanceOf: RuntimeUnavailableError, message: /disabled_plugins/ });
});

test('what the runtime says comes through, with its code', async t => {
  const { server, connection } = await serverFor(t);
  server.on(runtimeCalls.startContainer, ({ containerId }) => {
    throw new Refusal(containerId === 'gone' ? status.NOT_FOUND : status.UNKNOWN, `cannot: ${containerId}`);
  });
  await server.listen();
  const start = (containerId: string) => connection.call(runtimeCalls.startContainer, { containerId });
  const error = await t.throwsAsync(start('gone'), { instanceOf: CriError, message: 'cannot: gone' });
  t.true(isNotFound(error));
  t.false(isNotFound(await t.throwsAsync(start('odd'), { instanceOf: CriError, message: 'cannot: odd' })));
});

test('while the runtime is away calls fail as such, and then go on', async t => {
  const { server, connection } = await serverFor(t);
  server.on(runtimeCalls.version, () => version);
  await server.listen();
  await identify(connection);
  server.stop();
  const ask = () => connection.call(runtimeCalls.version, { version: '0.1.0' });
  await t.throwsAsync(ask(), { instanceOf: RuntimeUnavailableError, message: /does not answer/ });
  await server.listen();
  const deadline = Date.now() + 20_000;
  for (;;) {
    const answer = await ask().catch(() => undefined);
    if (answer !== undefined) break;
    if (Date.now() > deadline) return t.fail('no connection again');
  }
  t.pass();
});

test('a call is given up with its signal and after its time', async t => {
  const { server, connection } = await serverFor(t);
  // Never answered.
  server.onStream(runtimeCalls.version);
  await server.listen();
  const controller = new AbortController();
  const call = connection.call(runtimeCalls.version, {}, { signal: controller.signal });
  controller.abort();
  await t.throwsAsync(call, { instanceOf: CriError });
  await t.throwsAsync(connection.call(runtimeCalls.version, {}, { signal: controller.signal }), {
    instanceOf: CriError,
  });
  const late = await t.throwsAsync(connection.call(runtimeCalls.version, {}, { timeoutMs: 50 }), {
    instanceOf: CriError,
  });
  t.is(late instanceof CriError && late.grpcCode, status.DEADLINE_EXCEEDED);
});
