/**
 * Figures as prom-client serves them. Nothing is counted here: each figure is read from its source when it is asked for, so
 * that one source can stand under two names, ours and etcd's, with the same value.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Distribution } from './distribution.ts';

type Labels = Readonly<Record<string, string>>;
export interface Sample<Value> {
  readonly labels: Labels;
  readonly value: Value;
}
/** One value, or one a label set. */
export type Samples<Value> = Value | readonly Sample<Value>[];

interface Common {
  /** Without the prefix `raftsman_store_`. */
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
  /** The same figure under etcd's name: label names in the order of `labels`, and labels that never change. */
  readonly etcd?: EtcdName | readonly EtcdName[];
}
export interface EtcdName {
  readonly name: string;
  readonly labels?: readonly string[];
  readonly fixed?: Labels;
  /** Only samples with these labels are shown. */
  readonly where?: Labels;
}
export type Figure = Common &
  (
    | {
        readonly type: 'counter' | 'gauge';
        readonly read: () => Samples<number> | Promise<Samples<number>>;
      }
    | { readonly type: 'histogram'; readonly read: () => Samples<Distribution> }
  );

/** A figure without labels; `etcd` is its name there, or its names. */
export function gauge(name: string, help: string, etcd: EtcdNames, read: () => number): Figure {
  return { type: 'gauge', name, help, read, ...(etcd && { etcd: named(etcd) }) };
}
export function counter(name: string, help: string, etcd: EtcdNames, read: () => number): Figure {
  return { type: 'counter', name, help, read, ...(etcd && { etcd: named(etcd) }) };
}
type EtcdNames = string | readonly string[] | undefined;
const named = (names: string | readonly string[]): readonly EtcdName[] =>
  (typeof names === 'string' ? [names] : names).map(name => ({ name }));

const PREFIX = 'raftsman_store_';

/** Registers each figure under our name and under etcd's. @throws if the registry has one of these names already */
export function expose(registry: Registry, figures: readonly Figure[]): void {
  for (const figure of figures) {
    const own = { name: `${PREFIX}${figure.name}`, labels: figure.labels ?? [] };
    const { etcd = [] } = figure;
    for (const name of [own, ...(Array.isArray(etcd) ? etcd : [etcd])]) register(registry, figure, name);
  }
}

function register(registry: Registry, figure: Figure, as: EtcdName): void {
  const options = { name: as.name, help: figure.help, registers: [registry], labelNames: namesOf(as) };
  if (figure.type === 'histogram') {
    new ReadHistogram(options, () => relabel(figure, as, figure.read()));
    return;
  }
  const read = async () => relabel(figure, as, await figure.read());
  if (figure.type === 'gauge') new ReadGauge(options, read);
  else new ReadCounter(options, read);
}

function namesOf({ labels = [], fixed = {} }: EtcdName): string[] {
  return [...labels, ...Object.keys(fixed)];
}

function relabel<Value>(figure: Figure, as: EtcdName, read: Samples<Value>): readonly Sample<Value>[] {
  const samples = isList(read) ? read : [{ labels: {}, value: read }];
  const { labels: names = [], fixed = {}, where = {} } = as;
  const own = figure.labels ?? [];
  return samples
    .filter(({ labels }) => Object.entries(where).every(([name, value]) => labels[name] === value))
    .map(({ labels, value }) => {
      const renamed = names.map((name, position) => [name, labels[own[position] ?? ''] ?? ''] as const);
      return { labels: { ...Object.fromEntries(renamed), ...fixed }, value };
    });
}

function isList<Value>(samples: Samples<Value>): samples is readonly Sample<Value>[] {
  return Array.isArray(samples);
}

interface Options {
  readonly name: string;
  readonly help: string;
  readonly registers: Registry[];
  readonly labelNames: string[];
}

class ReadCounter extends Counter {
  readonly #read: () => Promise<readonly Sample<number>[]>;
  constructor(options: Options, read: () => Promise<readonly Sample<number>[]>) {
    super(options);
    this.#read = read;
  }
  override async get() {
    return { ...(await super.get()), values: plain(await this.#read()) };
  }
}

class ReadGauge extends Gauge {
  readonly #read: () => Promise<readonly Sample<number>[]>;
  constructor(options: Options, read: () => Promise<readonly Sample<number>[]>) {
    super(options);
    this.#read = read;
  }
  override async get() {
    return { ...(await super.get()), values: plain(await this.#read()) };
  }
}

function plain(samples: readonly Sample<number>[]) {
  return samples.map(({ labels, value }) => ({ labels: { ...labels }, value }));
}

class ReadHistogram extends Histogram {
  readonly #options: Options;
  readonly #read: () => readonly Sample<Distribution>[];
  constructor(options: Options, read: () => readonly Sample<Distribution>[]) {
    super(options);
    this.#options = options;
    this.#read = read;
  }
  /** What prom-client makes both its text and its `get` from; its types leave it out. */
  async getForPromString() {
    const { name, help } = this.#options;
    return {
      name,
      help,
      type: 'histogram',
      aggregator: 'sum',
      values: this.#read().flatMap(sample => this.#rows(name, sample)),
    };
  }
  #rows(name: string, { labels, value }: Sample<Distribution>) {
    let below = 0;
    const buckets = value.bounds.map((bound, slot) => {
      below += value.counts[slot] ?? 0;
      return { labels: { ...labels, le: String(bound) }, value: below, metricName: `${name}_bucket` };
    });
    const { total } = value;
    return [
      ...buckets,
      { labels: { ...labels, le: '+Inf' }, value: total, metricName: `${name}_bucket` },
      { labels: { ...labels }, value: value.sum, metricName: `${name}_sum` },
      { labels: { ...labels }, value: total, metricName: `${name}_count` },
    ];
  }
}
