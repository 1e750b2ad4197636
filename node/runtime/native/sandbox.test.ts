import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../clock.ts';
import { pauseProgram } from '../docker/pause.ts';
import type { SandboxSpec } from '../runtime.ts';
import { eventually } from '../testing/fixture.ts';
import type { ProcessRecord } from './layout.ts';
import { isAlive, processRecord } from './proc.ts';
import { startHolder } from './sandbox.ts';

const testAsRoot = process.platform === 'linux' && process.getuid?.() === 0 ? test : test.skip;

const directory = mkdtempSync(join(tmpdir(), 'raftsman-sandbox-'));
const pause = join(directory, 'pause');
writeFileSync(pause, pauseProgram(process.arch === 'arm64' ? 'arm64' : 'amd64'), { mode: 0o755 });
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

type Shape = Pick<SandboxSpec, 'shareProcessNamespace'>;
const shapes: Readonly<Record<string, Shape>> = {
  'its own processes': {},
  'one space of processes for all its containers': { shareProcessNamespace: true },
};
const specOf = (shape: Shape): SandboxSpec => ({
  ...{ pod: { uid: 'u', namespace: 'default', name: 'p' }, attempt: 0, hostname: 'p', sysctls: {}, labels: {} },
  ...{ hostNetwork: false, hostPid: false, hostIpc: false, shareProcessNamespace: false },
  ...shape,
});

/** Resolves when it is gone. */
function ends(t: ExecutionContext, holder: ProcessRecord): Promise<true> {
  t.teardown(async () => void ((await isAlive(holder)) && process.kill(holder.pid, 'SIGKILL')));
  return eventually(async () => ((await isAlive(holder)) ? undefined : true));
}

for (const [what, shape] of Object.entries(shapes)) {
  testAsRoot(`a sandbox with ${what} stays once it is noted`, async t => {
    const noted: ProcessRecord[] = [];
    const holder = await startHolder({
      program: pause,
      spec: specOf(shape),
      clock: systemClock,
      note: async one => void noted.push(one),
    });
    const over = ends(t, holder);
    t.deepEqual(noted, [holder]);
    const running = async () => (await readFile(`/proc/${holder.pid}/cmdline`, 'utf8')).startsWith(pause);
    t.true(await eventually(async () => ((await running()) ? true : undefined)));
    process.kill(holder.pid, 'SIGKILL');
    t.true(await over);
  });

  testAsRoot(`a sandbox with ${what} that cannot be noted ends`, async t => {
    let holder: ProcessRecord | undefined;
    const started = startHolder({
      program: pause,
      spec: specOf(shape),
      clock: systemClock,
      note: async one => {
        holder = one;
        throw new Error('the disk is full');
      },
    });
    await t.throwsAsync(started, { message: 'the disk is full' });
    t.truthy(holder && (await ends(t, holder)));
  });

  testAsRoot(`a sandbox with ${what} goes with an agent that is killed before it has noted it`, async t => {
    const script = `
      import { startHolder } from ${JSON.stringify(new URL('sandbox.ts', import.meta.url).href)};
      import { systemClock } from ${JSON.stringify(new URL('../clock.ts', import.meta.url).href)};
      await startHolder({
        program: ${JSON.stringify(pause)},
        spec: ${JSON.stringify(specOf(shape))},
        clock: systemClock,
        note: holder => { process.stdout.write(String(holder.pid)); return new Promise(() => setInterval(() => {}, 1000)); },
      });`;
    const agent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [pid] = await once(agent.stdout, 'data');
    const holder = await processRecord(Number(pid));
    agent.kill('SIGKILL');
    t.truthy(holder && (await ends(t, holder)));
  });
}
