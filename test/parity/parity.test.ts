/**
 * kubectl prints what it prints against Kubernetes v1.33: replays recorded transcripts, where they are at hand. The cases
 * in `whole.txt` have to match to the letter; the list only grows. Those in `cli-whole.txt` have to match with the program's
 * own command line in kubectl's place; `cli-known.txt` says why others do not.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { newCluster, raftsmanCommand, type TestCluster } from '../helpers/cluster.ts';
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
const folders: string[] = [];
test.after.always('stop the cluster', async () => {
  hollow?.kill();
  await cluster?.remove();
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

/**
 * kubectl writes the second of a restart into the object, by its own clock, and refuses a second restart of the same second
 * ("if restart has already been triggered within the past second, please wait"). Nothing on the server's side of a rollout
 * waits for a second to pass, in Kubernetes neither: that the recorded cluster never met it between `rollout restart
 * deployment/w` and `rollout restart deployment` of the case rollout-pause is a matter of speed alone. So this kubectl does
 * what the message asks for: a restart begins in a later second than the last one ended. All else goes straight through.
 */
async function patientKubectl(kubectlPath: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-parity-'));
  folders.push(folder);
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

/** The program's own command line under the name of kubectl, as a link of that name would run it. */
async function ownKubectl(): Promise<string> {
  const [program, main] = raftsmanCommand;
  const own = await mkdtemp(join(tmpdir(), 'raftsman-parity-cli-'));
  folders.push(own);
  await mkdir(join(own, 'link'));
  await symlink(main, join(own, 'link', 'kubectl'));
  const path = join(own, 'kubectl');
  await writeFile(path, `#!/bin/sh\nexec '${program}' '${join(own, 'link', 'kubectl')}' "$@"\n`);
  await chmod(path, 0o755);
  return path;
}

const listOf = (name: string): readonly string[] =>
  readFileSync(join(here, name), 'utf8')
    .split('\n')
    .filter(line => line && !line.startsWith('#'));

/** Plays cases, and what failed beside others once more, alone: transcripts hold time-outs of a second. */
async function replay(
  t: ExecutionContext,
  cases: readonly string[],
  { kubeconfig, program }: { readonly kubeconfig: string; readonly program: string },
): Promise<void> {
  const play = (names: readonly string[], jobs: number) =>
    run(
      process.execPath,
      [
        join(transcripts, 'parity.mjs'),
        'check',
        ...['--kubeconfig', kubeconfig, '--kubectl', program, '--jobs', String(jobs)],
        ...names,
      ],
      { timeoutMs: 840_000 },
    );
  const first = await play(cases, 2);
  t.log(first.stdout.trimEnd().split('\n').at(-1) ?? '');
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
}

/** The cluster with its hollow nodes, started once. */
async function startCluster(kubectlPath: string): Promise<TestCluster> {
  const running = await newCluster({ nodes: 0 });
  cluster = running;
  await running.start();
  hollow = spawn(
    process.execPath,
    [join(transcripts, 'hollow.mjs'), '--kubeconfig', running.kubeconfig, '--kubectl', kubectlPath],
    { stdio: 'ignore' },
  );
  await until(
    'the hollow nodes',
    async () =>
      (await mustRun(kubectlPath, ['get', 'nodes', '-o', 'name'], { env: running.env })).split('\n').filter(Boolean)
        .length === 2,
  );
  return running;
}

/** Each command of ours starts a Node: `npm test` plays a part of the cases, another one each day; all, if asked for. */
const SHARES = 6;
const DAY_MS = 86_400_000;

const title = 'recorded transcripts of kubectl read the same';
const ownTitle = 'recorded transcripts of kubectl read the same with the own command line';
if (lacks.length > 0 || !kubectl) {
  for (const each of [title, ownTitle]) test.skip(`${each} (needs ${lacks.join(', ')})`, t => t.pass());
} else {
  test.serial(title, async t => {
    t.timeout(900_000);
    const { kubeconfig } = await startCluster(kubectl.path);
    await replay(t, listOf('whole.txt'), { kubeconfig, program: await patientKubectl(kubectl.path) });
  });
  test.serial(ownTitle, async t => {
    t.timeout(900_000);
    const { kubeconfig } = cluster ?? (await startCluster(kubectl.path));
    const program = await patientKubectl(await ownKubectl());
    const cases = listOf('cli-whole.txt');
    const today = Math.floor(Date.now() / DAY_MS) % SHARES;
    const chosen = process.env.RAFTSMAN_CLI_CASES ? cases : cases.filter((_, at) => at % SHARES === today);
    await replay(t, chosen, { kubeconfig, program });
  });
}
