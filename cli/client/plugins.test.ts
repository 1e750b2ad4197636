import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { findPlugin, listPlugins, pluginNames } from './plugins.ts';

const folder = mkdtempSync(join(tmpdir(), 'raftsman-plugins-'));
test.after.always('remove the folder', () => rmSync(folder, { recursive: true, force: true }));

function newFolder(name: string, files: Readonly<Record<string, number>>): string {
  const path = join(folder, name);
  mkdirSync(path);
  for (const [file, mode] of Object.entries(files)) {
    writeFileSync(join(path, file), '#!/bin/sh\n');
    chmodSync(join(path, file), mode);
  }
  return path;
}

test('the words before the first flag name a plugin, the longest name first', t => {
  t.deepEqual(pluginNames(['a', 'b-c', '--d', 'e']), ['a-b_c', 'a']);
  t.deepEqual(pluginNames(['create', 'thing', 'x'], 2), ['create-thing-x', 'create-thing']);
  t.deepEqual(pluginNames(['-n', 'a']), []);
  t.deepEqual(pluginNames([]), []);
});

test('the longest name is found, and what is left of the words is given on', t => {
  const first = newFolder('first', { 'kubectl-foo': 0o755, 'kubectl-foo-bar_x': 0o755, 'kubectl-off': 0o644 });
  const second = newFolder('second', { 'kubectl-foo': 0o755, 'kubectl-off': 0o755 });
  mkdirSync(join(first, 'kubectl-folder'));
  const path = `${first}::${second}`;
  t.deepEqual(findPlugin(['foo', 'bar-x', 'y', '--z'], path), {
    path: join(first, 'kubectl-foo-bar_x'),
    words: ['y', '--z'],
  });
  t.deepEqual(findPlugin(['foo', 'other'], path), { path: join(first, 'kubectl-foo'), words: ['other'] });
  t.is(findPlugin(['foo', 'other'], path, 2), undefined);
  t.deepEqual(
    findPlugin(['off'], path),
    { path: join(second, 'kubectl-off'), words: [] },
    'what cannot run is passed over',
  );
  t.is(findPlugin(['folder'], path), undefined);
  t.is(findPlugin(['../first/kubectl-foo'], path), undefined);
  t.is(findPlugin(['foo'], ''), undefined);
});

test('the plugins of the PATH are listed, each folder once, and folders that cannot be read are told', t => {
  const one = newFolder('one', { 'kubectl-b': 0o755, 'kubectl-a': 0o644, other: 0o755 });
  const nothere = join(folder, 'nothere');
  t.deepEqual(listPlugins(`${one}:${nothere}: :${one}`), {
    paths: [join(one, 'kubectl-a'), join(one, 'kubectl-b')],
    unreadable: [{ folder: nothere, reason: `open ${nothere}: no such file or directory` }],
  });
});
