import test from 'ava';
import { StateCorruptError, StateFailedError } from './backend.ts';
import { backendContract, contents } from './contract.ts';
import { MemoryBackend, MemoryStateDisk } from './memory.ts';

backendContract(test, 'memory', async () => {
  const disk = new MemoryStateDisk();
  return { mount: () => new MemoryBackend(disk), crash: async () => disk.crash(), free: async () => {} };
});

test('memory: a crash takes a suffix of what was not flushed', async t => {
  const disk = new MemoryStateDisk();
  const backend = new MemoryBackend(disk);
  await contents(backend);
  await backend.append(Buffer.from('1'));
  await backend.flush();
  await backend.append(Buffer.from('2'));
  await backend.append(Buffer.from('3'));
  disk.crash({ batchesKept: 1 });
  t.deepEqual((await contents(new MemoryBackend(disk))).batches, ['1', '2']);
  disk.damage();
  await t.throwsAsync(new MemoryBackend(disk).open(), { instanceOf: StateCorruptError });
});

test('memory: after a failed write nothing more is written', async t => {
  const disk = new MemoryStateDisk();
  const backend = new MemoryBackend(disk);
  await contents(backend);
  disk.setFault(() => Promise.reject(new Error('bad sector')));
  await t.throwsAsync(backend.append(Buffer.from('1')), { instanceOf: StateFailedError });
  disk.setFault(undefined);
  await t.throwsAsync(backend.append(Buffer.from('2')), { instanceOf: StateFailedError });
});

test('memory: a flipped bit is found', async t => {
  const disk = new MemoryStateDisk();
  const backend = new MemoryBackend(disk);
  await contents(backend);
  t.false(disk.flipBit({ fromEnd: 0, bit: 3 }), 'nothing is there to damage');
  for (const batch of ['1', '2', '3']) await backend.append(Buffer.from(batch));
  await backend.flush();
  disk.crash();
  t.true(disk.flipBit({ fromEnd: 1, bit: 3 }));
  await t.throwsAsync(new MemoryBackend(disk).open(), { instanceOf: StateCorruptError });
});
