/** Semantic versions (Kubernetes' semver library, semver.org 2.0.0). */
import { Opaque } from '../opaque.ts';
import { EvaluationError, type Value } from '../values.ts';
import { define, type Overload } from './library.ts';

interface Version {
  readonly numbers: readonly [bigint, bigint, bigint];
  readonly prerelease: readonly string[];
}
const TYPE = 'kubernetes.Semver';
type Wrapped = Opaque<Version>;

const PATTERN =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$/;
const TEXT_MAX = 256;

/** `v1.2` is 1.2.0 where the expression says so. */
function normalized(text: string): string {
  const [, core = '', rest = ''] = /^v?([^-+]*)(.*)$/s.exec(text) ?? [];
  const parts = core.split('.').map(part => part.replace(/^0+(?=\d)/, ''));
  while (parts.length < 3) parts.push('0');
  return parts.join('.') + rest;
}

function parse(text: string, normalize = false): Version | undefined {
  if (text.length > TEXT_MAX) return undefined;
  const match = PATTERN.exec(normalize ? normalized(text) : text);
  if (!match) return undefined;
  const [, major = '0', minor = '0', patch = '0', prerelease] = match;
  return {
    numbers: [BigInt(major), BigInt(minor), BigInt(patch)],
    prerelease: prerelease === undefined ? [] : prerelease.split('.'),
  };
}

function semver(text: string, normalize = false): Value {
  const version = parse(text, normalize);
  if (!version) {
    throw new EvaluationError(
      /^[^.]*\.[^.]*\./.test(text)
        ? `Invalid character(s) found in version ${JSON.stringify(text)}`
        : 'No Major.Minor.Patch elements found',
    );
  }
  return new Opaque(TYPE, version, (a, b) => compare(a, b) === 0);
}

function compare(a: Version, b: Version): number {
  for (const [index, number] of a.numbers.entries()) {
    const other = b.numbers[index] ?? 0n;
    if (number !== other) return number < other ? -1 : 1;
  }
  if (a.prerelease.length === 0 || b.prerelease.length === 0) return b.prerelease.length - a.prerelease.length;
  for (const [index, part] of a.prerelease.entries()) {
    const other = b.prerelease[index];
    if (other === undefined) return 1;
    const order = comparePrerelease(part, other);
    if (order !== 0) return order;
  }
  return a.prerelease.length - b.prerelease.length;
}

/** Numbers come before words. */
function comparePrerelease(a: string, b: string): number {
  const [isNumber, isOtherNumber] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (isNumber && isOtherNumber) return BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0;
  if (isNumber !== isOtherNumber) return isNumber ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

type Two = readonly [Wrapped, Wrapped];
export const SEMANTIC_VERSIONS: readonly Overload[] = [
  define<[string]>(`semver(string): ${TYPE}`, text => semver(text), 'scan'),
  define<[string, boolean]>(`semver(string, bool): ${TYPE}`, semver, 'scan'),
  define<[string]>('isSemver(string): bool', text => parse(text) !== undefined, 'scan'),
  define<[string, boolean]>(
    'isSemver(string, bool): bool',
    (text, normalize) => parse(text, normalize) !== undefined,
    'scan',
  ),
  define<[Wrapped]>(`${TYPE}->major(): int`, ({ content }) => content.numbers[0]),
  define<[Wrapped]>(`${TYPE}->minor(): int`, ({ content }) => content.numbers[1]),
  define<[Wrapped]>(`${TYPE}->patch(): int`, ({ content }) => content.numbers[2]),
  define<Two>(`${TYPE}->isLessThan(${TYPE}): bool`, (a, b) => compare(a.content, b.content) < 0),
  define<Two>(`${TYPE}->isGreaterThan(${TYPE}): bool`, (a, b) => compare(a.content, b.content) > 0),
  define<Two>(`${TYPE}->compareTo(${TYPE}): int`, (a, b) => BigInt(Math.sign(compare(a.content, b.content)))),
];
