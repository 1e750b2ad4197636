/**
 * The program's own command line prints what kubectl prints, line by line of the tables under `differential/`, against one
 * server. Needs a kubectl 1.33, and as it takes several minutes, RAFTSMAN_CLI_CASES=all; `every` plays the tables of BY_HAND too.
 */
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { newCluster, raftsmanCommand, type TestCluster } from '../helpers/cluster.ts';
import { findKubectls } from '../helpers/machine.ts';
import { describeDifference, parseTable, playTable, tableNames } from './differential.ts';

const VERSION = '1.33';
const kubectl = findKubectls().find(({ version }) => version === VERSION);
const title = 'the own command line prints what kubectl prints';

let cluster: TestCluster | undefined;
let folder: string | undefined;
test.after.always('stop the cluster', async () => {
  await cluster?.remove();
  if (folder) await rm(folder, { recursive: true, force: true });
});

test('a table is read: commands, their input and what is said of them', t => {
  const steps = parseTable(
    '# a remark\n# ignore\n$ one\n<<<\nin\nput\n>>>\n# differs: so\n$ two\n# eventually\n$ three\n',
  );
  t.deepEqual(
    steps.map(({ command, input, isIgnored, isEventual, differs }) => [command, input, isIgnored, isEventual, differs]),
    [
      ['one', 'in\nput\n', true, false, undefined],
      ['two', '', false, false, 'differs: so'],
      ['three', '', false, true, undefined],
    ],
  );
});

/** Tables whose commands follow what controllers do meanwhile: in a hurry one program may see what the other does not yet. */
const BY_HAND: readonly string[] = ['apply', 'nodes', 'workloads'];

const cases = process.env.RAFTSMAN_CLI_CASES;
const isWanted = cases === 'all' || cases === 'every';
if (!kubectl || !isWanted) {
  const lacks = [!kubectl && `kubectl ${VERSION}`, !isWanted && 'RAFTSMAN_CLI_CASES=all'].filter(Boolean);
  test.skip(`${title} (needs ${lacks.join(', ')})`, t => t.pass());
} else {
  test.serial(title, async t => {
    t.timeout(900_000);
    const running = await newCluster({ masters: 1, nodes: 2 });
    cluster = running;
    await running.start();
    folder = await mkdtemp(join(tmpdir(), 'raftsman-differential-'));
    const [program, main] = raftsmanCommand;
    await mkdir(join(folder, 'link'));
    await symlink(main, join(folder, 'link/kubectl'));
    const own = join(folder, 'kubectl');
    await writeFile(own, `#!/bin/sh\nexec '${program}' '${join(folder, 'link/kubectl')}' "$@"\n`);
    await chmod(own, 0o755);
    const all: string[] = [];
    const names = (await tableNames()).filter(name => cases === 'every' || !BY_HAND.includes(name));
    for (const name of names) {
      const { comparedCount, differences, mended } = await playTable(name, {
        kubeconfig: running.kubeconfig,
        kubectl: kubectl.path,
        own,
      });
      t.log(`${name}: ${comparedCount - differences.length} of ${comparedCount}`);
      if (mended.length > 0) t.log(`no longer different: ${mended.join('; ')}`);
      all.push(...differences.map(describeDifference));
    }
    t.deepEqual(all, []);
  });
}
