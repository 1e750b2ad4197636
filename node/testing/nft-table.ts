/**
 * For tests: a table of nftables as the kernel keeps it, and as strict. It runs the scripts that we write: nothing is pointed
 * at that is not there, and nothing goes while something points at it.
 */

/** What a line has: `add rule inet t forward …`; a table's has no name of its own. */
const LINE = /^(\w+) (\w+) (?:inet|ip6?) \S+ ?([\w-]*) ?(.*)$/;

export class NftTable {
  /** Maps too; data is '' in plain sets. */
  readonly sets = new Map<string, Map<string, string>>();
  readonly chains = new Map<string, string[]>();
  #isThere = false;

  /**
   * Throws where the kernel would refuse, and, unless `isWhole` says that the script tells all, where something is told that
   * is so already.
   */
  run(script: string, { isWhole = false } = {}): this {
    for (const line of script.split('\n')) if (line !== '') this.#line(line, isWhole);
    return this;
  }

  copy(): NftTable {
    const copy = new NftTable();
    copy.#isThere = this.#isThere;
    for (const [name, elements] of this.sets) copy.sets.set(name, new Map(elements));
    for (const [name, rules] of this.chains) copy.chains.set(name, [...rules]);
    return copy;
  }

  /** Independent of the order in which it came to be. */
  content(): unknown {
    const sorted = <T>(map: ReadonlyMap<string, T>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
    return [sorted(this.sets).map(([name, elements]) => [name, sorted(elements)]), sorted(this.chains)];
  }

  #line(line: string, isWhole: boolean): void {
    const parts = LINE.exec(line);
    if (!parts) throw new Error(`no line of a script: ${line}`);
    const [, verb = '', what = '', name = '', rest = ''] = parts;
    if (what !== 'table' && !this.#isThere) throw new Error(`no table: ${line}`);
    if (what === 'table') this.#table(verb);
    else if (what === 'element') this.#elements(verb, name, rest);
    else if (what === 'rule') this.#rule(name, rest);
    else if (verb === 'flush' && what === 'chain') need(this.chains, name).length = 0;
    else if (verb === 'flush') need(this.sets, name).clear();
    else if (verb === 'add') {
      const isThere = what === 'chain' ? this.chains.has(name) : this.sets.has(name);
      if (isThere && !isWhole) throw new Error(`twice: ${line}`);
      if (isThere) return;
      if (what === 'chain') this.chains.set(name, []);
      else this.sets.set(name, new Map());
    } else {
      if (this.#pointers().has(name)) throw new Error(`in use: ${line}`);
      if (!(what === 'chain' ? this.chains : this.sets).delete(name)) throw new Error(`not there: ${line}`);
    }
  }

  #table(verb: string): void {
    this.#isThere = verb === 'add';
    if (this.#isThere) return;
    this.sets.clear();
    this.chains.clear();
  }

  #elements(verb: string, name: string, rest: string): void {
    const set = need(this.sets, name);
    for (const element of rest.replace(/^\{ | \}$/g, '').split(', ')) {
      const [key = '', data = ''] = element.split(' : ');
      if (verb === 'add') {
        if (set.has(key)) throw new Error(`twice: ${element}`);
        for (const chain of chainsOf(data)) need(this.chains, chain);
        set.set(key, data);
      } else if (!set.delete(key)) throw new Error(`not there: ${element}`);
    }
  }

  #rule(name: string, rule: string): void {
    for (const set of setsOf(rule)) need(this.sets, set);
    for (const chain of chainsOf(rule)) need(this.chains, chain);
    need(this.chains, name).push(rule);
  }

  #pointers(): Set<string> {
    const rules = [...this.chains.values()].flat();
    const data = [...this.sets.values()].flatMap(set => [...set.values()]);
    return new Set([...rules.flatMap(setsOf), ...[...rules, ...data].flatMap(chainsOf)]);
  }
}

function setsOf(rule: string): string[] {
  return [...rule.matchAll(/@([\w-]+)/g)].map(([, set = '']) => set);
}

/** Of a rule, or of a map's data. */
function chainsOf(text: string): string[] {
  return [...text.matchAll(/\b(?:goto|jump) ([\w-]+)/g)].map(([, chain = '']) => chain);
}

function need<T>(map: ReadonlyMap<string, T>, name: string): T {
  const found = map.get(name);
  if (found === undefined) throw new Error(`not there: ${name}`);
  return found;
}
