import test from 'ava';
import fc from 'fast-check';
import { NftTable } from '../testing/nft-table.ts';
import { compilePolicies } from './compile.ts';
import { renderChange, renderTable } from './render.ts';
import { isAllowedByPolicies, isAllowedByRules } from './test-evaluator.ts';
import { anyAddress, anyPort, anyProtocol, anyWorld } from './test-worlds.ts';

test('any policies and packets: the rules decide as the reference does', t => {
  const counts = { passes: 0, drops: 0 };
  fc.assert(
    fc.property(
      anyWorld,
      fc.array(
        fc.record({
          from: anyAddress,
          to: anyAddress,
          protocol: fc.oneof(anyProtocol, fc.constant('ICMP' as const)),
          port: anyPort,
        }),
        { minLength: 20, maxLength: 40 },
      ),
      (judged, packets) => {
        const ruleset = compilePolicies(judged);
        for (const packet of packets) {
          const expected = isAllowedByPolicies(judged, packet);
          counts[expected ? 'passes' : 'drops']++;
          if (isAllowedByRules(ruleset, packet) !== expected)
            throw new Error(`${JSON.stringify(packet)}: expected ${expected}`);
        }
      },
    ),
    { numRuns: 1_000 },
  );
  // Neither answer is the only one that was tried.
  t.true(counts.passes > 1_000);
  t.true(counts.drops > 1_000);
});

test('any change: what differs, told to the kernel, makes the same table as telling it all', t => {
  let changes = 0;
  fc.assert(
    fc.property(fc.array(anyWorld, { minLength: 2, maxLength: 5 }), worlds => {
      const rulesets = worlds.map(compilePolicies);
      const [first, ...others] = rulesets;
      if (!first) return;
      const table = new NftTable().run(renderTable('t', first));
      let before = first;
      for (const after of others) {
        const script = renderChange('t', before, after);
        if (script !== '') changes += 1;
        t.deepEqual(table.run(script).content(), new NftTable().run(renderTable('t', after)).content());
        before = after;
      }
    }),
    { numRuns: 300 },
  );
  t.true(changes > 300);
});
