import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { readCustom, withCustom } from './debug-custom.ts';

const folder = mkdtempSync(join(tmpdir(), 'raftsman-custom-'));
test.after.always('remove the folder', () => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

test('what a file says is merged into the container, lists by their keys', t => {
  const custom = readCustom(write('a.yaml', 'env: [{name: C, value: d}]\nsecurityContext: {runAsUser: 0}\n'));
  const container = {
    name: 'debugger',
    image: 'busybox',
    env: [{ name: 'A', value: 'b' }],
    securityContext: { privileged: true },
  };
  const merged = withCustom(container, custom);
  t.deepEqual(merged.env?.map(({ name }) => name).sort(), ['A', 'C']);
  t.deepEqual(merged.securityContext, { privileged: true, runAsUser: 0 });
  t.is(merged.image, 'busybox');
  t.deepEqual(readCustom(write('a.json', '{"env": [{"name": "C"}], "name": ""}')).env, [{ name: 'C' }]);
});

test('what other flags say, and what is no container, is refused', t => {
  for (const text of ['name: x', '{"command": ["a"]}', 'image: x', 'lifecycle: {}', 'volumeDevices: [{}]']) {
    t.throws(() => readCustom(write('bad', text)), {
      message: 'error: name, command, image, lifecycle and volume devices are not modifiable via custom profile',
    });
  }
  t.throws(() => readCustom(write('list', '[1]')), { message: /list does not contain a valid container spec$/ });
  t.throws(() => readCustom(write('broken', '{')), { message: /broken does not contain a valid container spec: / });
  t.throws(() => readCustom(join(folder, 'nothere')), {
    message:
      /^error: must pass a container spec json file for custom profile: open .*nothere: no such file or directory$/,
  });
});
