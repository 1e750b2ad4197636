/** Custom resources against what a Kubernetes v1.33 server was recorded to answer, where the facts are at hand. */
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import { customPrinter } from '../../api/custom/columns.ts';
import type { CustomResourceColumnDefinition } from '../../api/generated/types.ts';
import type { KubernetesObject } from '../../api/kind.ts';
import { DEFINITIONS, establish } from '../testing/establish.ts';
import { createHarness } from '../testing/harness.ts';

const FACTS = new URL('../../../../shared/api/', import.meta.url);
const read = <T>(name: string): T | undefined => {
  const path = new URL(name, FACTS);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as T) : undefined;
};

interface Recorded {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly contentType?: string;
  readonly sent: object;
  readonly status: number;
  readonly stored?: KubernetesObject;
  readonly answer?: { readonly details?: { readonly causes?: readonly object[] }; readonly message?: string };
  readonly warnings?: readonly string[];
}
interface Defaults {
  readonly customResources: {
    readonly crdStored: KubernetesObject & { readonly status: object };
    readonly requests: readonly Recorded[];
  };
}
interface Tables {
  readonly tables: Readonly<
    Record<
      string,
      {
        readonly columns: readonly { readonly name: string; readonly type: string; readonly priority: number }[];
        readonly crdPrinterColumns?: readonly CustomResourceColumnDefinition[];
        readonly samples: Readonly<
          Record<string, { readonly now: string; readonly object: object; readonly cells: unknown[] }>
        >;
      }
    >
  >;
}

const defaults = read<Defaults>('defaults.json')?.customResources;

/** In the order of their keys, as causes of one object have none of their own. */
const sorted = (causes: readonly object[] = []) =>
  causes.map(cause => JSON.stringify(cause, Object.keys(cause).sort())).sort();

(defaults ? test : test.skip)('requests for custom resources are answered as recorded', async t => {
  const { call, create, close } = await createHarness();
  t.teardown(close);
  const { crdStored, requests } = defaults as Defaults['customResources'];
  const { status: _, ...definition } = crdStored;
  await create(DEFINITIONS, { ...definition, metadata: { name: crdStored.metadata?.name ?? '' } });
  await establish({ call });
  for (const request of requests) {
    const { body, status, headers } = await call(request.method, request.path.replace('/NS/', '/default/'), {
      body: request.sent,
      ...(request.contentType !== undefined && { headers: { 'content-type': request.contentType } }),
    });
    t.is(status, request.status, `${request.name}: ${JSON.stringify(body)}`);
    if (request.stored) {
      const { metadata, ...rest } = body;
      const { metadata: wanted, ...stored } = request.stored;
      t.deepEqual(rest, stored, request.name);
      t.is(metadata.generation, wanted?.generation, request.name);
    }
    if (request.answer) t.deepEqual(sorted(body.details?.causes), sorted(request.answer.details?.causes), request.name);
    const told = (headers.warning?.match(/299 - "(?:[^"\\]|\\.)*"/g) ?? []).map(text =>
      text.slice('299 - "'.length, -1).replaceAll('\\"', '"'),
    );
    t.deepEqual(told.sort(), [...(request.warnings ?? [])].sort(), request.name);
  }
  t.true(requests.length > 20);
});

const tables = read<Tables>('tables.json')?.tables ?? {};
for (const [name, { columns, crdPrinterColumns, samples }] of Object.entries(tables)) {
  if (!name.startsWith('x.example.com/')) continue;
  const printer = customPrinter(crdPrinterColumns ?? []);
  test(`the table of ${name} has the recorded columns`, t => {
    t.deepEqual(
      printer.columns.map(({ name: title, type, priority }) => [title, type, priority]),
      columns.map(({ name: title, type, priority }) => [title, type, priority]),
    );
  });
  for (const [sample, { now, object, cells }] of Object.entries(samples)) {
    test(`the row of ${name} ${sample} is the recorded one`, t => {
      t.deepEqual([...printer.row(object as KubernetesObject, Date.parse(now)).cells], cells as never[]);
    });
  }
}
