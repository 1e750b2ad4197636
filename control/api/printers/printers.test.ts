import { readFileSync } from 'node:fs';
import test from 'ava';
import type { KubernetesObject } from '../kind.ts';
import { ageOf, humanDuration } from './human-duration.ts';
import { defaultPrinter, printers } from './printers.ts';

const DAY_S = 24 * 3600;
for (const [seconds, text] of [
  [-2, '<invalid>'],
  [-1, '0s'],
  [0, '0s'],
  [119, '119s'],
  [120, '2m'],
  [135, '2m15s'],
  [600, '10m'],
  [3 * 3600 - 1, '179m'],
  [3 * 3600, '3h'],
  [3 * 3600 + 240, '3h4m'],
  [8 * 3600 + 240, '8h'],
  [2 * DAY_S - 1, '47h'],
  [2 * DAY_S, '2d'],
  [2 * DAY_S + 7200, '2d2h'],
  [8 * DAY_S + 7200, '8d'],
  [729 * DAY_S, '729d'],
  [730 * DAY_S, '2y'],
  [732 * DAY_S, '2y2d'],
  [8 * 365 * DAY_S, '8y'],
] as const) {
  test(`${seconds} seconds are ${text}`, t => {
    t.is(humanDuration(seconds * 1000), text);
  });
}

test('the age of what has no time is unknown', t => {
  t.is(ageOf(undefined, 0), '<unknown>');
  t.is(ageOf('1970-01-01T00:00:00Z', 5000), '5s');
});

interface Recorded {
  readonly columns: readonly object[];
  readonly samples: Readonly<
    Record<string, { now: string; object: KubernetesObject; cells: unknown[]; conditions?: unknown[] }>
  >;
}
/** Tables of a Kubernetes v1.33 server, by definition: columns, and rows for given objects at a given time. */
const recorded: Readonly<Record<string, Recorded>> = JSON.parse(
  readFileSync(new URL('printers.test-data.json', import.meta.url), 'utf8'),
);

for (const [definition, { columns, samples }] of Object.entries(recorded)) {
  const printer = printers[definition] ?? defaultPrinter;
  test(`${definition} has Kubernetes' columns`, t => {
    t.deepEqual(
      printer.columns.map(({ name, type, format, priority }) => ({ name, type, format, priority })) as object[],
      [...columns],
    );
  });
  for (const [name, { now, object, cells, conditions }] of Object.entries(samples)) {
    test(`${definition} shows ${name} as Kubernetes does`, t => {
      const row = printer.row(object, Date.parse(now));
      t.deepEqual(row.cells as unknown, cells);
      t.deepEqual(row.conditions as unknown, conditions);
    });
  }
}

test('a CSINode of which the server serves no list of drivers has none', t => {
  const csiNode = { metadata: { name: 'n' }, spec: { drivers: null } } as KubernetesObject;
  const printer = printers['io.k8s.api.storage.v1.CSINode'];
  t.is(printer?.row(csiNode, 0).cells[1], 0);
});

test('rows of empty objects do not fail', t => {
  for (const [definition, { columns, row }] of Object.entries(printers)) {
    const isBound = /Binding$|PriorityClass|RuntimeClass|StorageClass|CSI|VolumeAttachment|SigningRequest|Slice$/.test(
      definition,
    );
    if (!isBound) t.true(row({}, 0).cells.length >= columns.length, definition);
  }
});
