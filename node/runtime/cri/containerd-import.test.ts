import { status } from '@grpc/grpc-js';
import test from 'ava';
import { Refusal, TestGrpcServer } from '../../testing/grpc-server.ts';
import { systemClock } from '../clock.ts';
import { CriConnection } from './connection.ts';
import { contentOf, importImage } from './containerd-import.ts';
import { containerdCalls } from './containerd-services.ts';
import { contentChunkBytes } from './limits.ts';

test('content that somebody else has brought meanwhile is not sent to its end', async t => {
  const server = await TestGrpcServer.make();
  const connection = new CriConnection(server.endpoint, systemClock);
  t.teardown(async () => {
    connection.close();
    await server.remove();
  });
  const named: (string | undefined)[] = [];
  for (const call of [containerdCalls.createLease, containerdCalls.deleteLease]) server.on(call, () => ({}));
  server.on(containerdCalls.createImage, ({ image }) => {
    named.push(image?.name);
    return {};
  });
  server.onDuplex(containerdCalls.writeContent, new Refusal(status.ALREADY_EXISTS, 'content already exists'));
  await server.listen();
  // Far more than gRPC takes before it wants to know that somebody reads.
  const layer = contentOf(Buffer.alloc(32 * contentChunkBytes));
  const id = await importImage({ connection, clock: systemClock }, ['docker.io/library/x:1'], {
    config: Buffer.from('{}'),
    layers: [layer],
  });
  t.regex(id, /^sha256:/);
  t.deepEqual(named, ['docker.io/library/x:1']);
});
