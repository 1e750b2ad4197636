/** The examples of docs/rollouts.md, run as they stand there: manifests from the page, and its commands line by line. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { connectApi } from '../helpers/api.ts';
import { newCluster, raftsmanCommand, type TestCluster } from '../helpers/cluster.ts';
import { testWith } from '../helpers/requirements.ts';
import { mustRun, until } from '../helpers/run.ts';

const PAGE = join(import.meta.dirname, '../../docs/rollouts.md');
const COMMAND_MS_MAX = 120_000;

let cluster: TestCluster | undefined;
const folders: string[] = [];
test.after.always('stop the cluster', async () => {
  await cluster?.remove();
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

interface Section {
  /** File name, from the first line, and text. */
  readonly files: readonly (readonly [string, string])[];
  readonly commands: readonly string[];
}

function sectionOf(page: string, title: string): Section {
  const text = page.split(/^## /m).find(part => part.startsWith(`${title}\n`)) ?? '';
  const blocks = [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)];
  const files = blocks.flatMap(([, language, body = '']) => {
    const name = /^# (\S+\.yaml)\n/.exec(body)?.[1];
    return language === 'yaml' && name !== undefined ? [[name, body] as const] : [];
  });
  const commands = blocks
    .filter(([, language]) => language === 'sh')
    .flatMap(([, , body = '']) => body.split('\n').filter(line => line !== '' && !line.startsWith('#')));
  return { files, commands };
}

testWith([])('canary and blue-green as the page has them', async t => {
  t.timeout(400_000);
  const running = await newCluster({ masters: 1, nodes: 1, runtime: 'fake' });
  cluster = running;
  await running.start();
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-rollouts-'));
  folders.push(folder);
  const [program, main] = raftsmanCommand;
  await writeFile(join(folder, 'kubectl'), `#!/bin/sh\nexec '${program}' '${main}' "$@"\n`, { mode: 0o755 });
  const env = { ...running.env, PATH: `${folder}:${process.env.PATH}` };
  const page = await readFile(PAGE, 'utf8');
  const api = await connectApi(running.kubeconfig, running.port);
  await until(
    'the default service account',
    async () => (await api.call('GET', '/api/v1/namespaces/default/serviceaccounts/default')).status === 200,
  );
  const play = async (command: string | undefined) => {
    await mustRun('sh', ['-ec', command ?? 'exit 9'], { env, cwd: folder, timeoutMs: COMMAND_MS_MAX });
  };
  const put = async ({ files }: Section) => {
    t.is(files.length, 1);
    for (const [name, text] of files) await writeFile(join(folder, name), text);
  };
  /** How many ready endpoints of the Service run each image. */
  const served = async (service: string): Promise<Record<string, number>> => {
    const path = `/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name%3D${service}`;
    const { items } = (await api.call('GET', path)).body as {
      items: { endpoints?: { conditions: { ready?: boolean }; targetRef: { name: string } }[] | null }[];
    };
    const names = items
      .flatMap(({ endpoints }) => endpoints ?? [])
      .filter(({ conditions }) => conditions.ready)
      .map(({ targetRef }) => targetRef.name);
    const pods = (await api.call('GET', '/api/v1/namespaces/default/pods')).body as {
      items: { metadata: { name: string }; spec: { containers: { image: string }[] } }[];
    };
    const images = pods.items
      .filter(({ metadata }) => names.includes(metadata.name))
      .map(({ spec }) => spec.containers[0]?.image.split('/')[1] ?? '');
    return Object.fromEntries([...Map.groupBy(images, image => image)].map(([image, all]) => [image, all.length]));
  };
  const settles = (service: string, expected: Record<string, number>) =>
    until(
      `${service}: ${JSON.stringify(expected)}`,
      async () => {
        const found = JSON.stringify(Object.entries(await served(service)).sort());
        if (found === JSON.stringify(Object.entries(expected).sort())) return true;
        throw new Error(found);
      },
      60_000,
    );

  const canary = sectionOf(page, 'Canary');
  await put(canary);
  t.is(canary.commands.length, 5);
  await play(canary.commands[0]);
  await play(canary.commands[1]);
  await settles('shop', { 'shop:1': 4, 'shop:2': 1 });
  await play(canary.commands[2]);
  await play(canary.commands[3]);
  await settles('shop', { 'shop:2': 5 });
  await play(canary.commands[4]);
  await settles('shop', { 'shop:2': 4 });

  const blueGreen = sectionOf(page, 'Blue and green');
  await put(blueGreen);
  t.is(blueGreen.commands.length, 4);
  for (const command of blueGreen.commands.slice(0, 3)) await play(command);
  await settles('pay', { 'pay:1': 2 });
  await play(blueGreen.commands[3]);
  await settles('pay', { 'pay:2': 2 });
  await play(blueGreen.commands[3]?.replace('green', 'blue'));
  await settles('pay', { 'pay:1': 2 });
  api.close();
});
