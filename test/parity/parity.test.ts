/**
 * kubectl prints what it prints against Kubernetes v1.33: replays recorded transcripts, where they are at hand. The cases
 * in `whole.txt` have to match to the letter; the list only grows.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { findKubectls } from '../helpers/machine.ts';
import { mustRun, run, until } from '../helpers/run.ts';

const here = dirname(fileURLToPath(import.meta.url));
const transcripts = process.env.RAFTSMAN_PARITY ?? join(here, '../../../shared/parity');
/** The transcripts are of this version's kubectl. */
const VERSION = '1.33';
const kubectl = findKubectls().find(({ version }) => version === VERSION);
const lacks = [
  !existsSync(join(transcripts, 'parity.mjs')) && 'the transcripts (RAFTSMAN_PARITY)',
  !kubectl && `kubectl ${VERSION}`,
].filter(Boolean);

let cluster: TestCluster | undefined;
let hollow: ChildProcess | undefined;
let folder = '';
test.after.always('stop the cluster', async () => {
  hollow?.kill();
  await cluster?.remove();
  if (folder !== '') await rm(folder, { recursive: true, force: true });
});

/**
 * kubectl writes the second of a restart into the object, by its own clock, and refuses a second restart of the same second
 * ("if restart has already been triggered within the past second, please wait"). Nothing on the server's side of a rollout
 * waits for a second to pass, in Kubernetes neither: that the recorded cluster never met it between `rollout restart
 * deployment/w` and `rollout restart deployment` of the case rollout-pause is a matter of speed alone. So this kubectl does
 * what the message asks for: a restart begins in a later second than the last one ended. All else goes straight through.
 */
async function patientKubectl(kubectlPath: string): Promise<string> {
  folder = await mkdtemp(join(tmpdir(), 'raftsman-parity-'));
  const path = join(folder, 'kubectl');
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  await writeFile(
    path,
    `#!/usr/bin/env bash
[ "$1 $2" = 'rollout restart' ] || exec -a kubectl ${quoted(kubectlPath)} "$@"
last=${quoted(join(folder, 'restarted'))}
while [ "$(date +%s)" = "$(cat "$last" 2>/dev/null)" ]; do sleep 0.05; done
${quoted(kubectlPath)} "$@"
code=$?
date +%s >"$last"
exit $code
`,
  );
  await chmod(path, 0o755);
  return path;
}

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
      [join(transcripts, 'hollow.mjs'), '--kubeconfig', running.kubeconfig, '--kubectl', kubectl.path],
      { stdio: 'ignore' },
    );
    await until(
      'the hollow nodes',
      async () =>
        (await mustRun(kubectl.path, ['get', 'nodes', '-o', 'name'], { env: running.env })).split('\n').filter(Boolean)
          .length === 2,
    );
    const patient = await patientKubectl(kubectl.path);
    const play = (names: readonly string[], jobs: number) =>
      run(
        process.execPath,
        [
          join(transcripts, 'parity.mjs'),
          'check',
          ...['--kubeconfig', running.kubeconfig, '--kubectl', patient, '--jobs', String(jobs)],
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
