/** Discovery against the documents of a Kubernetes v1.33 server, aggregated and older, where they are at hand. */
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import { createHarness, type Harness } from './testing/harness.ts';
import { serviceAccountKey } from './testing/service-account-key.ts';

const FACTS = new URL('../../../shared/api/', import.meta.url);
const read = <T>(name: string): T | undefined => {
  const path = new URL(name, FACTS);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as T) : undefined;
};

interface Document {
  readonly items: readonly {
    readonly metadata: { readonly name?: string };
    readonly versions: readonly { readonly version: string; readonly resources: readonly object[] }[];
  }[];
}
interface Recorded {
  readonly status: number;
  readonly contentType: string;
  readonly body: unknown;
}

const aggregated = read<Record<string, Document>>('discovery.json');
const legacy = read<Record<string, Recorded>>('discovery-legacy.json');

/** Old groups that Kubernetes does not have any more: without them a stock kubectl would not send manifests of 2016. */
const OURS = new Set(['extensions']);

for (const path of ['/api', '/apis']) {
  (aggregated ? test : test.skip)(`${path} is the document of Kubernetes`, async t => {
    const { call, close } = await createHarness();
    t.teardown(close);
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
    const { text } = await call('GET', path, { headers: { accept } });
    const served = (JSON.parse(text) as Document).items.filter(({ metadata }) => !OURS.has(metadata.name ?? ''));
    const recorded = aggregated?.[path]?.items ?? [];
    t.deepEqual(served, recorded as typeof served);
  });
}

/** What is told otherwise, each with the reason. */
const OTHERWISE: Readonly<Record<string, string>> = {
  '/livez/etcd': 'there is no etcd',
  '/livez?verbose': 'the checks are those of this server',
  '/readyz?verbose': 'the checks are those of this server',
  '/readyz?verbose&exclude=ping': 'the checks are those of this server',
};

/** Takes away what differs from server to server: addresses, keys, hashes, versions; and what is ours. */
function settle(path: string, body: unknown): unknown {
  if (typeof body === 'string') return body;
  const copy = structuredClone(body) as Record<string, unknown>;
  if (path === '/') copy.paths = (copy.paths as string[]).filter(isTheirs).filter(isCommon);
  if (path === '/api') delete copy.serverAddressByClientCIDRs;
  if (path === '/apis') copy.groups = (copy.groups as { name: string }[]).filter(({ name }) => !OURS.has(name));
  if (path === '/openapi/v3')
    copy.paths = Object.keys(copy.paths as object)
      .filter(isTheirs)
      .sort();
  if (path === '/.well-known/openid-configuration')
    copy.jwks_uri = String(copy.jwks_uri).replace(/^https:\/\/[^/]*/, '');
  if (path === '/openid/v1/jwks') copy.keys = [['alg', 'e', 'kid', 'kty', 'n', 'use']];
  // The facts leave the hashes out; `discovery.test.ts` looks at them.
  if (Array.isArray(copy.resources))
    copy.resources = copy.resources.map(({ storageVersionHash: _, ...rest }) => rest as object);
  if (path === '/version') return Object.keys(copy).sort();
  return copy;
}
/** Each server has its own checks, and Kubernetes writes two paths more that mean nothing to clients. */
const isCommon = (path: string) => !/^\/(healthz|livez|readyz)\/|^\/metrics\/slis$|^\/openapi\/v3\/$/.test(path);
const isTheirs = (path: string) => !/extensions(\/|$)/.test(path);

(legacy ? test : test.skip)('the older documents are those of Kubernetes', async t => {
  const { call, close } = await createHarness({
    withRoles: true,
    overrides: { serviceAccountKey: serviceAccountKey() },
  });
  t.teardown(close);
  for (const [path, { status, contentType, body }] of Object.entries(legacy ?? {})) {
    if (path in OTHERWISE) continue;
    const answer = await ask(call, path);
    t.is(answer.status, status, path);
    t.is(answer.contentType, contentType, path);
    t.deepEqual(settle(path, answer.body), settle(path, body), path);
  }
});

async function ask(call: Harness['call'], path: string): Promise<Recorded> {
  const { status, headers, text } = await call('GET', path);
  const contentType = headers['content-type'] ?? '';
  const isText = contentType.startsWith('text/plain') && !text.startsWith('{');
  return { status, contentType, body: isText ? text : (JSON.parse(text) as unknown) };
}
