import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { until } from '../../../control/client/testing/until.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { RegistryCredentials } from '../../runtime/runtime.ts';
import { imageOf, type TestImage, tarOf } from '../../testing/image-archive.ts';
import { RegistryServer, type RegistryServerOptions } from '../../testing/registry-server.ts';
import { makeTestTls } from '../../testing/tls.ts';
import { architecture, makeStore, storeUnavailable } from '../test-store.ts';
import type { RegistriesConfig } from './config.ts';
import { pullImage } from './pull.ts';

const add = storeUnavailable === undefined ? test : test.skip;
const titled = (title: string) => (storeUnavailable === undefined ? title : `${title}: ${storeUnavailable}`);

async function image(text: string): Promise<TestImage> {
  return imageOf([
    await tarOf([{ name: 'base', content: 'base' }]),
    await tarOf([{ name: 'file', content: text.repeat(20_000) }]),
  ]);
}

async function serve(t: ExecutionContext, options: RegistryServerOptions = {}): Promise<RegistryServer> {
  const server = new RegistryServer(options);
  await server.listen();
  t.teardown(() => server.close());
  return server;
}

async function puller(t: ExecutionContext, config: RegistriesConfig = {}) {
  const { store, root } = await makeStore(t);
  const context = { store, platform: { architecture }, clock: systemClock, registries: async () => config } as const;
  const pull = (reference: string, credentials: readonly RegistryCredentials[] = []) =>
    pullImage(context, reference, { credentials, signal: new AbortController().signal });
  return { store, root, pull };
}

add(titled('by tag and by digest; what is here is not fetched again'), async t => {
  const server = await serve(t);
  const digest = server.add('a/b', '1', await image('one'));
  const { store, root, pull } = await puller(t);
  const pulled = await pull(`${server.host}/a/b:1`);
  t.deepEqual(pulled.tags, [`${server.host}/a/b:1`]);
  t.deepEqual(pulled.digests, [`${server.host}/a/b@${digest}`]);
  t.is(store.find(`${server.host}/a/b@${digest}`)?.id, pulled.id);
  const [top] = store.layers.stack(pulled.chainId ?? '');
  t.is((await readFile(path.join(top ? store.layers.diff(top) : '', 'file'), 'utf8')).length, 60_000);
  t.deepEqual(await readdir(path.join(root, 'downloads')), [], 'nothing is left of the download');
  server.requests.length = 0;
  t.is((await pull(`${server.host}/a/b@${digest}`)).id, pulled.id);
  t.is(server.requests.filter(request => request.includes('/blobs/')).length, 1, 'the configuration only');
});

add(titled('a tag that moves takes its name along'), async t => {
  const server = await serve(t);
  server.add('a', '1', await image('one'));
  const { store, pull } = await puller(t);
  const first = await pull(`${server.host}/a:1`);
  server.add('a', '1', await image('two'));
  const second = await pull(`${server.host}/a:1`);
  t.not(first.id, second.id);
  t.is(store.find(`${server.host}/a:1`)?.id, second.id);
  t.deepEqual(store.find(first.id)?.tags, []);
});

add(titled('of an index the entry for this machine is taken'), async t => {
  const server = await serve(t);
  const wanted = await image('mine');
  const other = architecture === 'amd64' ? 'arm64' : 'amd64';
  const entries = { [other]: server.add('a', 'x', await image('other')), [architecture]: server.add('a', 'y', wanted) };
  server.addIndex('a', '1', entries);
  server.addIndex('a', '2', { [other]: entries[other] ?? '' });
  const { store, pull } = await puller(t);
  const pulled = await pull(`${server.host}/a:1`);
  const [top] = store.layers.stack(pulled.chainId ?? '');
  t.regex(await readFile(path.join(top ? store.layers.diff(top) : '', 'file'), 'utf8'), /^mine/);
  await t.throwsAsync(pull(`${server.host}/a:2`), { message: /no match for platform linux\// });
});

add(titled('keys: Bearer and Basic, from pull secrets and from the file; without them it is refused'), async t => {
  const [username, password] = ['me', 'secret'];
  for (const kind of ['basic', 'bearer'] as const) {
    const server = await serve(t, { auth: { kind, username, password } });
    server.add('a', '1', await image(kind));
    const reference = `${server.host}/a:1`;
    const { pull } = await puller(t);
    await t.throwsAsync(pull(reference), { message: /authoriz|401|token/ });
    await t.throwsAsync(pull(reference, [{ registry: server.host, username, password: 'wrong' }]));
    await t.throwsAsync(pull(reference, [{ registry: 'other:1', username, password }]));
    const keys = [
      { registry: `${server.host}/a`, username, password: 'wrong' },
      { registry: server.host, username, password },
    ];
    await t.notThrowsAsync(pull(reference, keys), 'one after the other');
    const configured = await puller(t, { configs: { [server.host]: { auth: { username, password } } } });
    await t.notThrowsAsync(configured.pull(reference));
  }
});

add(titled('a connection that breaks is taken up where it broke; a busy registry is asked again'), async t => {
  const server = await serve(t);
  server.add('a', '1', await image('broken'));
  server.breaks = 2;
  server.failures.push(503, 429);
  const { pull, root } = await puller(t);
  const downloads = path.join(root, 'downloads');
  server.hasArrived = bytes =>
    until(`${bytes} bytes of a layer`, async () => {
      const files = await readdir(downloads, { recursive: true, withFileTypes: true }).catch(() => []);
      const sizes = files.filter(one => one.isFile()).map(one => stat(path.join(one.parentPath, one.name)));
      return (await Promise.all(sizes)).some(({ size }) => size === bytes);
    });
  await pull(`${server.host}/a:1`);
  t.true(server.requests.some(request => /bytes=\d+-$/.test(request)));
  await t.throwsAsync(pull(`${server.host}/a:none`), {
    message: /failed to pull and unpack image .*a:none: not found/,
  });
});

add(titled('mirrors come first, the registry itself last; names are rewritten'), async t => {
  const [mirror, dead] = [await serve(t), await serve(t)];
  mirror.add('copies/library/nginx', '1', await image('mirror'));
  const { store, pull } = await puller(t, {
    mirrors: { 'docker.io': { endpoint: [dead.url, mirror.url], rewrite: { '^library/(.*)': 'copies/library/$1' } } },
  });
  const pulled = await pull('nginx:1');
  t.deepEqual(pulled.tags, ['docker.io/library/nginx:1']);
  t.is(store.find('nginx:1')?.id, pulled.id);
  t.true(mirror.requests[0]?.endsWith('?ns=docker.io'), mirror.requests[0]);
});

add(titled('TLS: an authority of its own, none, and without looking'), async t => {
  const tls = makeTestTls();
  const server = await serve(t, { tls: tls.server });
  server.add('a', '1', await image('tls'));
  const folder = await mkdtemp(path.join(tmpdir(), 'raftsman-ca-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = path.join(folder, 'ca.crt');
  await writeFile(file, tls.ca);
  const withTls = async (settings: { ca_file?: string; insecure_skip_verify?: boolean }) => {
    const mirrors = { 'r.example': { endpoint: [server.url] } };
    const { pull } = await puller(t, { mirrors, configs: { [server.host]: { tls: settings } } });
    return await pull('r.example/a:1');
  };
  await t.notThrowsAsync(withTls({ ca_file: file }));
  await t.notThrowsAsync(withTls({ insecure_skip_verify: true }));
  await t.throwsAsync(withTls({}), { message: /certificate|self-signed|unable to verify/ });
});
