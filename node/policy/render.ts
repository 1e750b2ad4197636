/**
 * From rulesets to scripts for `nft -f -`. Pure. A script is one transaction: packets see the rules before it or after
 * it, never between. After the first one only what differs is told.
 *
 * Established connections pass, so that a policy judges only how a connection begins. What the node itself sends goes
 * through another hook and is not judged, nor is what it receives: probes always work, and services have been translated
 * before this hook. A pod always reaches itself.
 */
import { bitsOf, type Family } from './ranges.ts';
import type { Chain, PeerSet, PolicyRuleset, PortRange, Rule } from './ruleset.ts';

interface KernelSet {
  readonly declaration: string;
  readonly isMap: boolean;
  /** Key to data; '' in a plain set. */
  readonly elements: ReadonlyMap<string, string>;
}

const families: readonly Family[] = [4, 6];
/** Elements in one line of a script. */
const elementsPerLine = 2_000;

/** The whole table, in place of whatever has its name. */
export function renderTable(table: string, ruleset: PolicyRuleset): string {
  const sets = kernelSets(ruleset);
  return script([
    `add table inet ${table}`,
    `delete table inet ${table}`,
    `add table inet ${table}`,
    ...[...sets].flatMap(([name, set]) => [declare(table, name, set), ...isFilledBefore(set, table, name)]),
    ...[...ruleset.chains].flatMap(([name, chain]) => addChain(table, name, chain)),
    ...[...sets].flatMap(([name, set]) => (set.isMap ? change(table, name, 'add', set.elements) : [])),
    `add chain inet ${table} forward { type filter hook forward priority 0 ; policy accept ; }`,
    ...baseRules().map(rule => `add rule inet ${table} forward ${rule}`),
  ]);
}

/** What brings the table from `before` to `after`; '' if nothing has to be done. */
export function renderChange(table: string, before: PolicyRuleset, after: PolicyRuleset): string {
  const [old, next] = [kernelSets(before), kernelSets(after)];
  const lines: string[] = [];
  for (const [name, set] of next) if (!old.has(name)) lines.push(declare(table, name, set));
  for (const [name, set] of next) if (!set.isMap) lines.push(...changes(table, name, old.get(name), set));
  for (const [name, chain] of after.chains) if (!before.chains.has(name)) lines.push(...addChain(table, name, chain));
  for (const [name, set] of next) if (set.isMap) lines.push(...changes(table, name, old.get(name), set));
  const stale = [...before.chains.keys()].filter(name => !after.chains.has(name));
  // Nothing may point at what is going to be deleted.
  lines.push(...stale.map(name => `flush chain inet ${table} ${name}`));
  lines.push(...stale.map(name => `delete chain inet ${table} ${name}`));
  for (const name of old.keys()) if (!next.has(name)) lines.push(`delete set inet ${table} ${name}`);
  return script(lines);
}

/** Removes the table whether or not it is there. */
export function renderRemoval(table: string): string {
  return script([`add table inet ${table}`, `delete table inet ${table}`]);
}

function script(lines: readonly string[]): string {
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function baseRules(): string[] {
  const inFamilies = (rule: (family: Family) => string) => families.map(rule);
  return [
    'ct state established,related accept',
    ...inFamilies(family => `${address(family, 'saddr')} . ${address(family, 'daddr')} @self${family} accept`),
    ...inFamilies(family => `${address(family, 'saddr')} vmap @egress${family}`),
    ...inFamilies(family => `${address(family, 'daddr')} vmap @ingress${family}`),
  ];
}

function kernelSets({ sets, isolated }: PolicyRuleset): Map<string, KernelSet> {
  const result = new Map<string, KernelSet>();
  for (const family of families) {
    const own = (address: string) => address.includes(':') === (family === 6);
    const all = new Set([...isolated.ingress.keys(), ...isolated.egress.keys()].filter(own));
    const type = addressType(family);
    result.set(
      `self${family}`,
      plain(
        `type ${type} . ${type} ;`,
        [...all].map(one => `${one} . ${one}`),
      ),
    );
    for (const direction of ['egress', 'ingress'] as const) {
      const entries = [...isolated[direction]].filter(([one]) => own(one));
      result.set(`${direction}${family}`, {
        declaration: `type ${type} : verdict ;`,
        isMap: true,
        elements: new Map(entries.map(([one, chain]) => [one, `jump ${chain}`])),
      });
    }
  }
  for (const [name, set] of sets) result.set(name, plain(declarationOf(set), set.elements));
  return result;
}

function plain(declaration: string, elements: Iterable<string>): KernelSet {
  return { declaration, isMap: false, elements: new Map([...elements].map(element => [element, ''])) };
}

function declarationOf({ kind, family }: PeerSet): string {
  if (kind === 'targets') return `type ${addressType(family)} . inet_proto . inet_service ;`;
  return `type ${addressType(family)} ;${kind === 'ranges' ? ' flags interval ;' : ''}`;
}

function addressType(family: Family): string {
  return family === 4 ? 'ipv4_addr' : 'ipv6_addr';
}

function address(family: Family, end: 'saddr' | 'daddr'): string {
  return `${bitsOf(family) === 32 ? 'ip' : 'ip6'} ${end}`;
}

function declare(table: string, name: string, set: KernelSet): string {
  return `add ${set.isMap ? 'map' : 'set'} inet ${table} ${name} { ${set.declaration} }`;
}

/** A map's elements point at chains, which have to be there first. */
function isFilledBefore(set: KernelSet, table: string, name: string): string[] {
  return set.isMap ? [] : change(table, name, 'add', set.elements);
}

function changes(table: string, name: string, before: KernelSet | undefined, after: KernelSet): string[] {
  const old = before?.elements ?? new Map<string, string>();
  const gone = new Map([...old].filter(([key, data]) => after.elements.get(key) !== data));
  const come = new Map([...after.elements].filter(([key, data]) => old.get(key) !== data));
  return [...change(table, name, 'delete', gone), ...change(table, name, 'add', come)];
}

function change(table: string, name: string, verb: 'add' | 'delete', elements: ReadonlyMap<string, string>): string[] {
  const texts = [...elements].map(([key, data]) => (data === '' ? key : `${key} : ${data}`));
  const lines: string[] = [];
  for (let index = 0; index < texts.length; index += elementsPerLine) {
    lines.push(`${verb} element inet ${table} ${name} { ${texts.slice(index, index + elementsPerLine).join(', ')} }`);
  }
  return lines;
}

function addChain(table: string, name: string, { direction, rules }: Chain): string[] {
  const end = direction === 'ingress' ? 'saddr' : 'daddr';
  return [
    `add chain inet ${table} ${name}`,
    ...rules.map(rule => `add rule inet ${table} ${name} ${condition(rule, end)}return`),
    `add rule inet ${table} ${name} drop`,
  ];
}

function condition({ peers, protocol, ports, targets }: Rule, end: 'saddr' | 'daddr'): string {
  const parts = [
    ...(peers ? [`${address(peers.family, end)} @${peers.set}`] : []),
    ...(targets ? [`${address(targets.family, 'daddr')} . meta l4proto . th dport @${targets.set}`] : []),
    ...(protocol && !ports ? [`meta l4proto ${protocol.toLowerCase()}`] : []),
    ...(protocol && ports ? [`${protocol.toLowerCase()} dport { ${ports.map(portText).join(', ')} }`] : []),
  ];
  return parts.map(part => `${part} `).join('');
}

function portText({ first, last }: PortRange): string {
  return first === last ? String(first) : `${first}-${last}`;
}
