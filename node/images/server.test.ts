/** The command line, the agent's door for images and its folder, end to end with the native runtime's store. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { createNativeRuntime } from '../runtime/native/native.ts';
import { imageOf, savedImage, tarOf } from '../testing/image-archive.ts';
import { importFolder } from './folder.ts';
import { ImageServer } from './server.ts';
import { storeUnavailable } from './test-store.ts';

const add = storeUnavailable === undefined ? test : test.skip;
const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const logger = { debug() {}, info() {}, warn() {}, error() {} };

async function raftsman(words: readonly string[], input?: Buffer) {
  const child = spawn(process.execPath, [main, 'image', ...words], { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.end(input);
  const [stdout, stderr, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>(resolve => child.once('close', resolve)),
  ]);
  return { stdout, stderr, code };
}

add(`images by the command line and by the folder${storeUnavailable ? `: ${storeUnavailable}` : ''}`, async t => {
  const directory = mkdtempSync(path.join(tmpdir(), 'raftsman-image-'));
  const dataDir = path.join(directory, 'node-1');
  mkdirSync(path.join(dataDir, 'images'), { recursive: true });
  const archive = async (name: string) => savedImage(name, imageOf([await tarOf([{ name: 'file', content: name }])]));
  writeFileSync(path.join(dataDir, 'images', 'first.tar'), await archive('folder:1'));
  writeFileSync(path.join(dataDir, 'images', 'broken.tar'), 'no archive');
  const runtime = createNativeRuntime({ dataDir });
  await runtime.start();
  const server = new ImageServer({ runtime, dataDir, logger });
  await server.listen();
  t.teardown(async () => {
    await server.close();
    await runtime.close();
    rmSync(directory, { recursive: true, force: true });
  });
  await importFolder({ runtime, directory: path.join(dataDir, 'images'), logger });
  const at = ['--data-dir', directory];

  const imported = await raftsman(['import', '-', ...at], await archive('web:1'));
  t.deepEqual(imported, { stdout: 'node-1: imported docker.io/library/web:1\n', stderr: '', code: 0 });
  const listed = await raftsman(['list', ...at]);
  t.regex(listed.stdout, /^NODE +IMAGE +ID +SIZE\n/);
  t.regex(listed.stdout, /node-1 +docker.io\/library\/folder:1 +sha256:/);
  t.regex(listed.stdout, /node-1 +docker.io\/library\/web:1 +sha256:/);
  t.like(await raftsman(['remove', 'web:1', ...at]), { stdout: 'node-1: removed web:1\n', code: 0 });
  t.is(await runtime.imageStatus('web:1'), undefined);
  t.like(await raftsman(['remove', 'web:1', ...at]), {
    stderr: 'error: node-1: image "web:1" is not on this node\n',
    code: 1,
  });
  const wrong = await raftsman(['import', '-', ...at, '--node', 'node-1'], Buffer.from('no archive'));
  t.is(wrong.code, 1);
  t.regex(wrong.stderr, /^error: node-1: the archive cannot be read|^error: node-1: this is no archive/);
  t.like(await raftsman(['list', '--data-dir', path.join(directory, 'none')]), { code: 1 });
});
