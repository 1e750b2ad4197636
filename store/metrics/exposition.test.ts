import test from 'ava';
import fc from 'fast-check';
import { Histogram, Registry } from 'prom-client';
import { Distribution, FAST_BOUNDS_SECONDS } from './distribution.ts';
import { expose } from './exposition.ts';

test('a distribution is served exactly as prom-client serves its own histogram', async t => {
  const values = fc.array(
    fc.oneof(fc.double({ min: 0, max: 10, noNaN: true }), fc.constantFrom(...FAST_BOUNDS_SECONDS)),
  );
  await fc.assert(
    fc.asyncProperty(values, async all => {
      const distribution = new Distribution(FAST_BOUNDS_SECONDS);
      const ours = new Registry();
      expose(ours, [{ type: 'histogram', name: 'x', help: 'Help.', read: () => distribution }]);
      const theirs = new Registry();
      const histogram = new Histogram({
        name: 'raftsman_store_x',
        help: 'Help.',
        buckets: [...FAST_BOUNDS_SECONDS],
        registers: [theirs],
      });
      for (const value of all) {
        distribution.observe(value);
        histogram.observe(value);
      }
      t.is(await ours.metrics(), await theirs.metrics());
    }),
    { numRuns: 50 },
  );
});

test('one source stands under two names, with the labels that each of them has', async t => {
  const registry = new Registry();
  let value = 1;
  expose(registry, [
    {
      type: 'counter',
      name: 'sent_total',
      help: 'Sent.',
      labels: ['peer'],
      read: () => [
        { labels: { peer: 'a' }, value },
        { labels: { peer: 'b' }, value: 7 },
      ],
      etcd: { name: 'etcd_sent_total', labels: ['To'], fixed: { version: 'v3' } },
    },
  ]);
  value = 5;
  t.is(
    await registry.metrics(),
    [
      '# HELP raftsman_store_sent_total Sent.',
      '# TYPE raftsman_store_sent_total counter',
      'raftsman_store_sent_total{peer="a"} 5',
      'raftsman_store_sent_total{peer="b"} 7',
      '',
      '# HELP etcd_sent_total Sent.',
      '# TYPE etcd_sent_total counter',
      'etcd_sent_total{To="a",version="v3"} 5',
      'etcd_sent_total{To="b",version="v3"} 7',
      '',
    ].join('\n'),
  );
});

test('what is read slowly is waited for', async t => {
  const registry = new Registry();
  expose(registry, [{ type: 'gauge', name: 'size', help: 'Size.', read: async () => 3 }]);
  t.regex(await registry.metrics(), /^raftsman_store_size 3$/m);
});
