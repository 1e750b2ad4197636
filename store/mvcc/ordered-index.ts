/**
 * A sorted map from sort names to values: sorted runs of at most {@link RUN_MAX} names, found by binary search over
 * their first names. Insertion moves a few hundred pointers at most, a scan walks plain arrays: at 10^5–10^6 keys both
 * beat trees with small nodes in JavaScript.
 */
import assert from 'node:assert';

const RUN_MAX = 512;

interface Run<Value> {
  readonly names: string[];
  readonly values: Value[];
}

export class OrderedIndex<Value> {
  // Invariant: no run is empty, except that a lone first one may be; all names in a run are below those in the next.
  #runs: Run<Value>[] = [{ names: [], values: [] }];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds a name that is not there yet. */
  insert(name: string, value: Value): void {
    const at = this.#runFor(name);
    const run = this.#run(at);
    const position = lowerBound(run.names, name);
    assert(run.names[position] !== name, 'a name is inserted once');
    if (position === run.names.length) {
      run.names.push(name);
      run.values.push(value);
    } else {
      run.names.splice(position, 0, name);
      run.values.splice(position, 0, value);
    }
    this.#size++;
    if (run.names.length > RUN_MAX) this.#split(at, position);
  }

  /** Removes a name that is there. */
  remove(name: string): void {
    const at = this.#runFor(name);
    const run = this.#run(at);
    const position = lowerBound(run.names, name);
    assert(run.names[position] === name, 'a removed name was there');
    run.names.splice(position, 1);
    run.values.splice(position, 1);
    this.#size--;
    if (run.names.length === 0 && this.#runs.length > 1) this.#runs.splice(at, 1);
  }

  /** Visits values from `start` on, below `end` (undefined: to the last), in order, until the visitor answers false. */
  scan(start: string, end: string | undefined, visit: (value: Value, name: string) => boolean): void {
    let at = this.#runFor(start);
    let position = lowerBound(this.#run(at).names, start);
    for (; at < this.#runs.length; at++, position = 0) {
      const { names, values } = this.#run(at);
      for (; position < names.length; position++) {
        const name = names[position] as string; // within the bounds of the loop
        if (end !== undefined && name >= end) return;
        if (!visit(values[position] as Value, name)) return;
      }
    }
  }

  #run(at: number): Run<Value> {
    const run = this.#runs[at];
    assert(run !== undefined, 'a run is looked up within bounds');
    return run;
  }

  /** The last run whose first name is not above `name`; the first run if there is none. */
  #runFor(name: string): number {
    let low = 0;
    let high = this.#runs.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.#run(middle).names[0] as string) <= name) low = middle;
      else high = middle;
    }
    return low;
  }

  #split(at: number, position: number): void {
    const run = this.#run(at);
    // Keys that arrive in ascending order leave full runs behind instead of half-empty ones.
    const ascending = position === run.names.length - 1 && at === this.#runs.length - 1;
    const cut = ascending ? run.names.length - 1 : run.names.length >>> 1;
    this.#runs.splice(at + 1, 0, { names: run.names.splice(cut), values: run.values.splice(cut) });
  }
}

/** The first position whose name is not below `name`. */
function lowerBound(names: readonly string[], name: string): number {
  let low = 0;
  let high = names.length;
  // Appending at the end is the commonest case.
  if (high > 0 && (names[high - 1] as string) < name) return high;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((names[middle] as string) < name) low = middle + 1;
    else high = middle;
  }
  return low;
}
