import test from 'ava';
import fc from 'fast-check';
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

/** A table as the kernel keeps it, and as strict: nothing is added twice, and nothing goes while something points at it. */
class Table {
  readonly sets = new Map<string, Map<string, string>>();
  readonly chains = new Map<string, string[]>();

  run(script: string): this {
    for (const line of script.split('\n')) if (line !== '') this.#line(line);
    return this;
  }

  /** Independent of the order in which it came to be. */
  content(): unknown {
    const sorted = <T>(map: ReadonlyMap<string, T>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
    return [sorted(this.sets).map(([name, elements]) => [name, sorted(elements)]), sorted(this.chains)];
  }

  #line(line: string): void {
    const [, verb = '', what = '', name = '', rest = ''] =
      /^(\w+) (\w+) inet t ?([\w-]*) ?(.*)$/.exec(line) ?? assertNever(line);
    if (what === 'table') {
      this.sets.clear();
      this.chains.clear();
    } else if (what === 'element') this.#elements(verb, name, rest);
    else if (what === 'rule') this.#rule(name, rest);
    else if (verb === 'flush') need(this.chains, name).length = 0;
    else if (verb === 'add') {
      const isThere = what === 'chain' ? this.chains.has(name) : this.sets.has(name);
      if (isThere) throw new Error(`twice: ${line}`);
      if (what === 'chain') this.chains.set(name, []);
      else this.sets.set(name, new Map());
    } else {
      if (this.#pointers().has(name)) throw new Error(`in use: ${line}`);
      if (!(what === 'chain' ? this.chains : this.sets).delete(name)) throw new Error(`not there: ${line}`);
    }
  }

  #elements(verb: string, name: string, rest: string): void {
    const set = need(this.sets, name);
    for (const element of rest.replace(/^\{ | \}$/g, '').split(', ')) {
      const [key = '', data = ''] = element.split(' : ');
      if (verb === 'add') {
        if (set.has(key)) throw new Error(`twice: ${element}`);
        if (data !== '') need(this.chains, data.replace('jump ', ''));
        set.set(key, data);
      } else if (!set.delete(key)) throw new Error(`not there: ${element}`);
    }
  }

  #rule(name: string, rule: string): void {
    for (const [, set = ''] of rule.matchAll(/@([\w-]+)/g)) need(this.sets, set);
    need(this.chains, name).push(rule);
  }

  #pointers(): Set<string> {
    const fromRules = [...this.chains.values()]
      .flat()
      .flatMap(rule => [...rule.matchAll(/@([\w-]+)/g)].map(([, set]) => set));
    const fromMaps = [...this.sets.values()].flatMap(set => [...set.values()].map(data => data.replace('jump ', '')));
    return new Set([...fromRules, ...fromMaps].filter(name => name !== undefined));
  }
}

function need<T>(map: ReadonlyMap<string, T>, name: string): T {
  const found = map.get(name);
  if (found === undefined) throw new Error(`not there: ${name}`);
  return found;
}

function assertNever(line: string): never {
  throw new Error(`no line of a script: ${line}`);
}

test('any change: what differs, told to the kernel, makes the same table as telling it all', t => {
  let changes = 0;
  fc.assert(
    fc.property(fc.array(anyWorld, { minLength: 2, maxLength: 5 }), worlds => {
      const rulesets = worlds.map(compilePolicies);
      const [first, ...others] = rulesets;
      if (!first) return;
      const table = new Table().run(renderTable('t', first));
      let before = first;
      for (const after of others) {
        const script = renderChange('t', before, after);
        if (script !== '') changes += 1;
        t.deepEqual(table.run(script).content(), new Table().run(renderTable('t', after)).content());
        before = after;
      }
    }),
    { numRuns: 300 },
  );
  t.true(changes > 300);
});
