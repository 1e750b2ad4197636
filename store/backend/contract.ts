/** What every {@link StateBackend} has to do. Each implementation's test file runs this suite against itself. */
import type { ExecutionContext, TestFn } from 'ava';
import type { StateBackend } from './backend.ts';

export interface StateDisk {
  mount(): StateBackend;
  /** Kills the process; what was flushed must be there afterwards. */
  crash(backend: StateBackend): Promise<void>;
  free(): Promise<void>;
}

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** Reads everything back. */
export async function contents(backend: StateBackend) {
  const stored = await backend.open();
  const checkpoint = stored.checkpoint === undefined ? undefined : await texts(stored.checkpoint);
  return { checkpoint, batches: await texts(stored.batches) };
}

/** Declares the suite's tests. */
export function backendContract(test: TestFn, name: string, makeDisk: () => Promise<StateDisk>): void {
  const contract = (title: string, run: (t: ExecutionContext, disk: StateDisk) => Promise<void>) =>
    test(`${name}: ${title}`, async t => {
      const disk = await makeDisk();
      try {
        await run(t, disk);
      } finally {
        await disk.free();
      }
    });

  contract('an empty disk has nothing', async (t, disk) => {
    const backend = disk.mount();
    t.deepEqual(await contents(backend), { checkpoint: undefined, batches: [] });
    await backend.close();
  });

  contract('flushed batches survive a crash, in order', async (t, disk) => {
    let backend = disk.mount();
    await contents(backend);
    void backend.append(bytes('1'));
    void backend.append(bytes('2'));
    await backend.flush();
    await disk.crash(backend);
    backend = disk.mount();
    t.deepEqual((await contents(backend)).batches, ['1', '2']);
    await backend.append(bytes('3'));
    await backend.flush();
    await backend.close();
    backend = disk.mount();
    t.deepEqual((await contents(backend)).batches, ['1', '2', '3']);
    await backend.close();
  });

  contract('a checkpoint takes the place of what came before it, and only of that', async (t, disk) => {
    let backend = disk.mount();
    await contents(backend);
    for (let round = 1; round <= 3; round++) {
      await backend.append(bytes(`before ${round}`));
      const checkpoint = backend.beginCheckpoint();
      await checkpoint.write(bytes(`chunk ${round}.1`));
      await backend.append(bytes(`after ${round}`));
      await checkpoint.write(bytes(`chunk ${round}.2`));
      await checkpoint.commit();
      await backend.flush();
      await disk.crash(backend);
      backend = disk.mount();
      t.deepEqual(await contents(backend), {
        checkpoint: [`chunk ${round}.1`, `chunk ${round}.2`],
        batches: [`after ${round}`],
      });
    }
    await backend.close();
  });

  contract('a checkpoint that was not finished, or was abandoned, leaves no trace', async (t, disk) => {
    let backend = disk.mount();
    await contents(backend);
    await backend.append(bytes('1'));
    const abandoned = backend.beginCheckpoint();
    await abandoned.write(bytes('x'));
    await abandoned.abandon();
    await backend.beginCheckpoint().write(bytes('y'));
    await backend.flush();
    await disk.crash(backend);
    backend = disk.mount();
    t.deepEqual(await contents(backend), { checkpoint: undefined, batches: ['1'] });
    const empty = backend.beginCheckpoint();
    await empty.write(bytes('z'));
    await empty.commit();
    await backend.close();
    backend = disk.mount();
    t.deepEqual(await contents(backend), { checkpoint: ['z'], batches: [] });
    await backend.close();
  });
}

async function texts(values: AsyncIterable<Uint8Array>): Promise<string[]> {
  const all: string[] = [];
  for await (const value of values) all.push(Buffer.from(value).toString());
  return all;
}
