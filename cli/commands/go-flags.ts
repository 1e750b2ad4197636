/**
 * Reads flags as pflag does, the library behind kubectl's: `--name=value`, `--name value`, `-abc`, `-n=value`, `-nvalue`;
 * boolean flags take a value behind an equals sign only, and so do flags whose value may be left out. Pure.
 */

/** What has to be known of a flag. */
export interface FlagDefinition {
  readonly long?: string | undefined;
  readonly short?: string | undefined;
  /** It needs a value. */
  readonly required: boolean;
  /** Its value may be left out. */
  readonly optional: boolean;
}

/** A flag that was given. `true` and `false` are those of boolean flags; null: the value was left out. */
export interface GivenFlag<F> {
  readonly flag: F;
  readonly value: string | boolean | null;
}

export interface ParsedWords<F> {
  readonly flags: readonly GivenFlag<F>[];
  readonly operands: readonly string[];
  /** What stands behind the name of a command, which reads it itself; empty if none was named. */
  readonly rest: readonly string[];
  readonly hasSeparator: boolean;
  /** What is wrong, in pflag's words. What stands behind is not read. */
  readonly mistake: string | undefined;
}

/** What may be met among the words. */
export interface FlagSet<F extends FlagDefinition> {
  /** The flag of this name, `--name` or `-n`. */
  find(name: string): F | undefined;
  /** Whether the first word that is no flag names a command that reads the rest. */
  isCommand(word: string): boolean;
}

export function parseWords<F extends FlagDefinition>(words: readonly string[], set: FlagSet<F>): ParsedWords<F> {
  const reader = new Reader(words, set);
  reader.read();
  return reader;
}

class Reader<F extends FlagDefinition> implements ParsedWords<F> {
  readonly flags: GivenFlag<F>[] = [];
  readonly operands: string[] = [];
  rest: readonly string[] = [];
  hasSeparator = false;
  mistake: string | undefined;
  readonly #words: readonly string[];
  readonly #set: FlagSet<F>;
  #next = 0;

  constructor(words: readonly string[], set: FlagSet<F>) {
    this.#words = words;
    this.#set = set;
  }

  read(): void {
    for (let word = this.#take(); word !== undefined && this.mistake === undefined; word = this.#take()) {
      if (word === '--') {
        this.hasSeparator = true;
        this.operands.push(...this.#words.slice(this.#next));
        return;
      }
      if (word.startsWith('--')) this.#readLong(word);
      else if (word.startsWith('-') && word !== '-') this.#readShort(word);
      else {
        this.operands.push(word);
        if (this.operands.length === 1 && this.#set.isCommand(word)) {
          this.rest = this.#words.slice(this.#next);
          return;
        }
      }
    }
  }

  #take(): string | undefined {
    return this.#words[this.#next++];
  }

  #readLong(word: string): void {
    const sign = word.indexOf('=');
    const name = sign < 0 ? word : word.slice(0, sign);
    const value = sign < 0 ? undefined : word.slice(sign + 1);
    if (name.length === 2 || name[2] === '-') {
      this.mistake = `bad flag syntax: ${word}`;
      return;
    }
    const flag = this.#set.find(name);
    if (!flag) this.mistake = `unknown flag: ${name}`;
    else if (value !== undefined) this.#give(flag, value);
    else if (!flag.required) this.flags.push({ flag, value: flag.optional ? null : true });
    else this.#giveNext(flag, name);
  }

  #readShort(word: string): void {
    for (let at = 1; at < word.length && this.mistake === undefined; at++) {
      const letter = word[at] ?? '';
      const flag = this.#set.find(`-${letter}`);
      if (!flag) {
        this.mistake = `unknown shorthand flag: '${letter}' in ${word.slice(at === 1 ? 0 : at).replace(/^(?!-)/, '-')}`;
        return;
      }
      const after = word.slice(at + 1);
      if (after.startsWith('=')) {
        this.#give(flag, after.slice(1));
        return;
      }
      if (!flag.required) {
        this.flags.push({ flag, value: flag.optional ? null : true });
        continue;
      }
      if (after !== '') this.#give(flag, after);
      else this.#giveNext(flag, `'${letter}' in ${word.slice(at === 1 ? 0 : at).replace(/^(?!-)/, '-')}`);
      return;
    }
  }

  #giveNext(flag: F, described: string): void {
    const value = this.#take();
    if (value === undefined) this.mistake = `flag needs an argument: ${described}`;
    else this.#give(flag, value);
  }

  #give(flag: F, value: string): void {
    if (flag.required || flag.optional) {
      this.flags.push({ flag, value });
      return;
    }
    const truth = TRUTHS[value];
    if (truth === undefined) {
      const name = [flag.short, flag.long].filter(Boolean).join(', ');
      this.mistake = `invalid argument ${JSON.stringify(value)} for "${name}" flag: strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`;
    } else this.flags.push({ flag, value: truth });
  }
}

/** The words that Go takes for true and false. */
const TRUTHS: Readonly<Record<string, boolean>> = {
  ...Object.fromEntries(['1', 't', 'T', 'true', 'TRUE', 'True'].map(word => [word, true])),
  ...Object.fromEntries(['0', 'f', 'F', 'false', 'FALSE', 'False'].map(word => [word, false])),
};
