/**
 * From plans of a table to scripts for `nft -f -`. Pure. A script is one transaction: packets see the table before it or
 * after it, never between. After the first one only what differs is told, since a whole table costs `nft` and the kernel
 * by all services.
 *
 * Both ways keep the sets that remember which client belongs to which endpoint, and both go by what the kernel asks for:
 * what is pointed at is there before what points at it, and goes after it.
 */
import type { Chain, NamedSet, TableFamily, TablePlan } from './ruleset.ts';

/** The names in the kernel's table. */
export interface TableContents {
  readonly chains: ReadonlySet<string>;
  /** With maps. */
  readonly sets: ReadonlySet<string>;
}

/** Elements in one line of a script. */
export const elementsPerLine = 2_000;
/** Longer changes gain nothing on the whole table, which besides needs no trust in what is known of it. */
export const changeLinesMax = 10_000;

/** Makes the table equal to `plan`, whatever else it holds of what `existing` names. */
export function renderTable(plan: TablePlan, existing: TableContents): string {
  const { chains, sets } = plan;
  const table = tableOf(plan);
  const staleChains = [...existing.chains].filter(name => !chains.has(name));
  const staleSets = [...existing.sets].filter(name => !sets.has(name));
  return script([
    `add table ${table}`,
    ...[...plan.timeouts].map(([name, timeout]) => `add ct timeout ${table} ${name} { ${timeout} }`),
    ...[...sets].map(([name, set]) => declareSet(table, name, set)),
    ...[...chains].map(([name, chain]) => declareChain(table, name, chain)),
    // Nothing may point at what is going to be deleted.
    ...[...chains.keys(), ...staleChains].map(name => `flush chain ${table} ${name}`),
    ...[...sets].flatMap(([name, { elements, isMap }]) =>
      elements ? [`flush ${isMap ? 'map' : 'set'} ${table} ${name}`] : [],
    ),
    ...staleChains.map(name => `delete chain ${table} ${name}`),
    ...staleSets.map(name => `delete set ${table} ${name}`),
    ...[...chains].flatMap(([name, chain]) => addRules(table, name, chain)),
    ...[...sets].flatMap(([name, { elements }]) => changeElements(table, name, 'add', elements ?? new Map())),
  ]);
}

/**
 * What brings a table that is as `before` says to `after`, both of one table; '' if nothing has to be done. The kernel
 * refuses it if the table lacks something of `before`. Undefined if it had more than {@link changeLinesMax} lines.
 */
export function renderChange(before: TablePlan, after: TablePlan): string | undefined {
  const table = tableOf(after);
  const newSets = [...after.sets].filter(([name]) => !before.sets.has(name));
  const newChains = [...after.chains].filter(([name]) => !before.chains.has(name));
  const changedChains = [...after.chains].filter(([name, chain]) => isOther(before.chains.get(name), chain));
  const staleSets = [...before.sets.keys()].filter(name => !after.sets.has(name));
  const staleChains = [...before.chains.keys()].filter(name => !after.chains.has(name));
  const lines = [
    ...newSets.map(([name, set]) => declareSet(table, name, set)),
    ...newChains.map(([name, chain]) => declareChain(table, name, chain)),
    ...changedChains.map(([name]) => `flush chain ${table} ${name}`),
    ...[...newChains, ...changedChains].flatMap(([name, chain]) => addRules(table, name, chain)),
    ...[...after.sets].flatMap(([name, set]) => changesOfElements(table, name, before.sets.get(name), set)),
    // Those may still point at each other.
    ...staleChains.map(name => `flush chain ${table} ${name}`),
    ...staleChains.map(name => `delete chain ${table} ${name}`),
    ...staleSets.map(name => `delete set ${table} ${name}`),
  ];
  return lines.length > changeLinesMax ? undefined : script(lines);
}

/** Removes the table whether or not it is there. */
export function renderRemoval(table: string, family: TableFamily = 'ip'): string {
  return `add table ${family} ${table}\ndelete table ${family} ${table}\n`;
}

function script(lines: readonly string[]): string {
  return lines.map(line => `${line}\n`).join('');
}

function tableOf({ family, table }: TablePlan): string {
  return `${family} ${table}`;
}

function declareSet(table: string, name: string, { isMap, type }: NamedSet): string {
  return `add ${isMap ? 'map' : 'set'} ${table} ${name} { type ${type} ; }`;
}

function declareChain(table: string, name: string, { hook }: Chain): string {
  return `add chain ${table} ${name}${hook ? ` { ${hook} }` : ''}`;
}

function addRules(table: string, name: string, { rules }: Chain): string[] {
  return rules.map(rule => `add rule ${table} ${name} ${rule}`);
}

/** Whether a chain was there with other rules. */
function isOther(before: Chain | undefined, after: Chain): boolean {
  if (before === undefined || before === after) return false;
  const { rules } = after;
  return before.rules.length !== rules.length || before.rules.some((rule, index) => rule !== rules[index]);
}

/** Nothing for a set that packets fill. */
function changesOfElements(table: string, name: string, before: NamedSet | undefined, after: NamedSet): string[] {
  const old = before?.elements ?? new Map<string, string>();
  const next = after.elements ?? new Map<string, string>();
  const gone = lackedBy(next, old);
  const come = lackedBy(old, next);
  // A key whose data is another one now is deleted and added.
  return [...changeElements(table, name, 'delete', gone), ...changeElements(table, name, 'add', come)];
}

/** What `one` does not have, or has with other data. */
function lackedBy(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): Map<string, string> {
  const result = new Map<string, string>();
  for (const [key, data] of other) if (one.get(key) !== data) result.set(key, data);
  return result;
}

function changeElements(
  table: string,
  name: string,
  verb: 'add' | 'delete',
  elements: ReadonlyMap<string, string>,
): string[] {
  const texts = [...elements].map(([key, data]) => (data === '' ? key : `${key} : ${data}`));
  const lines: string[] = [];
  for (let index = 0; index < texts.length; index += elementsPerLine) {
    lines.push(`${verb} element ${table} ${name} { ${texts.slice(index, index + elementsPerLine).join(', ')} }`);
  }
  return lines;
}
