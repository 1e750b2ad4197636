import test from 'ava';
import { runtimeContract } from './contract.ts';
import { behaviourOf, createFakeRuntime, FakeMachine } from './fake.ts';
import { InvalidImageNameError } from './image-reference.ts';
import type { Workload } from './testing/fixture.ts';

const machine = new FakeMachine();

function specOf(workload: Workload) {
  switch (workload.does) {
    case 'run':
      return { image: 'fake/run', command: undefined, args: undefined };
    case 'exit':
      return { image: `fake/exit-${workload.code}`, command: undefined, args: undefined };
    case 'print':
      return { image: 'fake/print', command: undefined, args: [...workload.stdout, ...workload.stderr] };
    case 'fail to start':
      return { image: 'fake/start-error', command: undefined, args: undefined };
  }
}

runtimeContract(test, {
  unavailable: undefined,
  programs: false,
  container: specOf,
  async create(nodeName) {
    const runtime = createFakeRuntime({
      nodeName,
      machine,
      behaviour: image => (image.startsWith('localhost:1/') ? { pullError: 'refused' } : behaviourOf(image)),
    });
    await runtime.start();
    const { signal } = new AbortController();
    for (const image of ['fake/run', 'fake/print', 'fake/start-error', 'fake/exit-0', 'fake/exit-3', 'fake/exit-9']) {
      await runtime.pullImage(image, { signal });
    }
    return runtime;
  },
});

test('the name of an image says what its containers do', t => {
  t.deepEqual(behaviourOf('fake/exit-7'), { exitCode: 7, exitAfterMs: 0 });
  t.deepEqual(behaviourOf('docker.io/fake/exit-7-after-250:v1'), { exitCode: 7, exitAfterMs: 250 });
  t.deepEqual(behaviourOf('fake/deaf'), { ignoresTerm: true });
  t.deepEqual(behaviourOf('nginx:1.7.9'), {});
  t.deepEqual(behaviourOf('quay.io/fake/exit-7'), {});
  t.throws(() => behaviourOf('Fake'), { instanceOf: InvalidImageNameError });
});
