/**
 * kubectl prints what it prints against Kubernetes v1.33: replays recorded transcripts, where they are at hand. The cases
 * in `whole.txt` have to match to the letter; the list only grows.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { findKubectls } from '../helpers/machine.ts';
import { mustRun, run, until } from '../helpers/run.ts';

const here = dirname(fileURLToPath(import.meta.url));
const folder = process.env.RAFTSMAN_PARITY ?? join(here, '../../../shared/parity');
/** The transcripts are of this version's kubectl. */
const VERSION = '1.33';
const kubectl = findKubectls().find(({ version }) => version === VERSION);
const lacks = [
  !existsSync(join(folder, 'parity.mjs')) && 'the transcripts (RAFTSMAN_PARITY)',
  !kubectl && `kubectl ${VERSION}`,
].filter(Boolean);

let cluster: TestCluster | undefined;
let hollow: ChildProcess | undefined;
test.after.always('stop the cluster', async () => {
  hollow?.kill();
  await cluster?.remove();
});

const title = 'recorded transcripts of kubectl read the same';
if (lacks.length > 0 || !kubectl) test.skip(`${title} (needs ${lacks.join(', ')})`, t => t.pass());
else {
  test.serial(title, async t => {
    t.timeout(900_000);
    const cases = readFileSync(join(here, 'whole.txt'), 'utf8')
      .split('\n')
      .filter(line => line && !line.startsWith('#'));
    const running = await newCluster({ nodes: 0 });
    cluster = running;
    await running.start();
    hollow = spawn(
      process.execPath,
      [join(folder, 'hollow.mjs'), '--kubeconfig', running.kubeconfig, '--kubectl', kubectl.path],
      { stdio: 'ignore' },
    );
    await until(
      'the hollow nodes',
      async () =>
        (await mustRun(kubectl.path, ['get', 'nodes', '-o', 'name'], { env: running.env })).split('\n').filter(Boolean)
          .length === 2,
    );
    const play = (names: readonly string[], jobs: number) =>
      run(
        process.execPath,
        [
          join(folder, 'parity.mjs'),
          'check',
          ...['--kubeconfig', running.kubeconfig, '--kubectl', kubectl.path, '--jobs', String(jobs)],
          ...names,
        ],
        { timeoutMs: 600_000 },
      );
    const first = await play(cases, 2);
    t.log(first.stdout.trimEnd().split('\n').at(-1) ?? '');
    // The transcripts hold time-outs of a second, which a busy machine may miss: what failed beside others plays once more, alone.
    const failed = [...first.stdout.matchAll(/^FAIL (\S+)/gm)].map(match => match[1] ?? '');
    t.true(first.code === 0 || failed.length > 0, first.stdout + first.stderr);
    if (failed.length === 0) return;
    t.log(
      `once more, alone: ${failed.join(', ')}\n${first.stdout
        .split('\n')
        .filter(line => !line.startsWith('ok'))
        .join('\n')}`,
    );
    const second = await play(failed, 1);
    t.is(second.code, 0, second.stdout);
  });
}
