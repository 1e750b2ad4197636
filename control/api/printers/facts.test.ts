/** Every recorded table of a Kubernetes v1.33 server (shared/api/tables.json) against the printers; skipped where it is not at hand. */
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import type { KubernetesObject } from '../kind.ts';
import { findResource } from '../registry.ts';
import { defaultPrinter, printers } from './printers.ts';

const FACTS = new URL('../../../../shared/api/tables.json', import.meta.url);

interface Recorded {
  readonly columns: readonly object[];
  readonly samples: Readonly<
    Record<string, { now: string; object: KubernetesObject; cells: unknown[]; conditions?: unknown[] }>
  >;
}
const { tables } = existsSync(FACTS)
  ? (JSON.parse(readFileSync(FACTS, 'utf8')) as { readonly tables: Readonly<Record<string, Recorded>> })
  : { tables: {} };

/** Custom resources have printers of their own: `apiserver/custom/facts.test.ts` shows them. */
const CUSTOM = 'x.example.com/';
let shown = 0;

for (const [name, { columns, samples }] of Object.entries(tables)) {
  if (name.startsWith(CUSTOM)) continue;
  const [plural = '', version = '', group = ''] = name.split('/').reverse();
  const kind = findResource(group, version, plural);
  const printer = (kind && printers[kind.definition]) ?? defaultPrinter;
  test(`${name} has Kubernetes' columns`, t => {
    t.truthy(kind);
    const told = printer.columns.map(({ name: title, type, format, priority }) => ({
      name: title,
      type,
      format,
      priority,
    }));
    t.deepEqual(told as object[], [...columns]);
  });
  for (const [sample, { now, object, cells, conditions }] of Object.entries(samples)) {
    shown++;
    test(`${name} shows ${sample} as Kubernetes does`, t => {
      const row = printer.row(object, Date.parse(now));
      t.deepEqual(row.cells, cells);
      t.deepEqual(row.conditions, conditions);
    });
  }
}

(existsSync(FACTS) ? test : test.skip)('all recorded rows were shown', t => {
  t.true(shown >= 190, `${shown} rows`);
});
