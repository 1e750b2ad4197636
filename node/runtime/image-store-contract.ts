/** The images that a runtime has, and those that it cannot get. Part of the runtime's contract. */
import { stat } from 'node:fs/promises';
import type { TestFn } from 'ava';
import { ImagePullError } from './runtime.ts';
import { type RuntimeHarness, register } from './testing/fixture.ts';

/** Of every runtime. */
export function imageStoreContract(test: TestFn, harness: RuntimeHarness): void {
  const add = register(test, harness);

  add('the folder of images is one of this machine', async (t, { runtime }) => {
    const folder = await runtime.imageFolder();
    if (folder === undefined) t.is(runtime.name, 'fake');
    else t.true((await stat(folder)).isDirectory());
  });

  add('images: there, not there, and one that cannot be pulled', async (t, fixture) => {
    const { runtime } = fixture;
    const { image } = harness.container({ does: 'run' });
    const status = await runtime.imageStatus(image);
    t.true(status !== undefined && status.id.length > 0 && status.sizeBytes >= 0);
    t.true((await runtime.listImages()).some(one => one.id === status?.id));
    t.is(await runtime.imageStatus('raftsman-test/none:1'), undefined);
    const { signal } = new AbortController();
    // Nothing listens there, so this fails on every machine, at once.
    await t.throwsAsync(runtime.pullImage('localhost:1/none:1', { signal }), {
      instanceOf: ImagePullError,
      message: /localhost:1/,
    });
    await t.throwsAsync(runtime.pullImage('No Such Name', { signal }), { instanceOf: ImagePullError });
  });
}
