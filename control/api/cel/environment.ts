/** What all expressions may speak of: the functions and types of Kubernetes v1.33 (apiserver/pkg/cel/environment). */
import type { Declarations } from './checker.ts';
import { ADDRESSES } from './functions/addresses.ts';
import { AUTHORIZATION, AUTHORIZATION_TYPES } from './functions/authorization.ts';
import { CONVERSIONS } from './functions/conversions.ts';
import { FORMATS } from './functions/formats.ts';
import type { Overload } from './functions/library.ts';
import { LISTS, SETS } from './functions/lists.ts';
import { OPERATORS } from './functions/operators.ts';
import { OPTIONALS } from './functions/optionals.ts';
import { QUANTITIES } from './functions/quantities.ts';
import { REGULAR_EXPRESSIONS } from './functions/regular-expressions.ts';
import { SEMANTIC_VERSIONS } from './functions/semantic-versions.ts';
import { STRINGS } from './functions/strings.ts';
import { URLS } from './functions/urls.ts';
import {
  BOOL,
  BYTES,
  DOUBLE,
  DURATION,
  DYN,
  INT,
  listOf,
  mapOf,
  NULL,
  opaque,
  optionalOf,
  STRING,
  TIMESTAMP,
  type Type,
  typeOf,
  UINT,
} from './types.ts';
import { TypeValue, type Value } from './values.ts';

const ALL: readonly Overload[] = [
  ...OPERATORS,
  ...CONVERSIONS,
  ...STRINGS,
  ...REGULAR_EXPRESSIONS,
  ...LISTS,
  ...SETS,
  ...OPTIONALS,
  ...AUTHORIZATION,
  ...URLS,
  ...ADDRESSES,
  ...QUANTITIES,
  ...FORMATS,
  ...SEMANTIC_VERSIONS,
];

const functions: ReadonlyMap<string, readonly Overload[]> = Map.groupBy(ALL, ({ name }) => name);

/** Types that have names: `type(x) == int`. */
const TYPES: Readonly<Record<string, Type>> = {
  bool: BOOL,
  int: INT,
  uint: UINT,
  double: DOUBLE,
  string: STRING,
  bytes: BYTES,
  list: listOf(DYN),
  map: mapOf(DYN, DYN),
  null_type: NULL,
  type: typeOf(DYN),
  optional_type: optionalOf(DYN),
  'google.protobuf.Timestamp': TIMESTAMP,
  'google.protobuf.Duration': DURATION,
  ...Object.fromEntries(AUTHORIZATION_TYPES.map(name => [name, opaque(name)])),
  'kubernetes.URL': opaque('kubernetes.URL'),
  'kubernetes.Quantity': opaque('kubernetes.Quantity'),
  'kubernetes.NamedFormat': opaque('kubernetes.NamedFormat'),
  'kubernetes.Semver': opaque('kubernetes.Semver'),
  'net.IP': opaque('net.IP'),
  'net.CIDR': opaque('net.CIDR'),
};
const typeVariables = Object.entries(TYPES).map(([name, type]) => [name, typeOf(type)] as const);

/** The environment with these variables. */
export function declarations(variables: Iterable<readonly [string, Type]>): Declarations {
  return { functions, variables: new Map([...typeVariables, ...variables]) };
}

const typeValues = new Map<string, Value>(Object.keys(TYPES).map(name => [name, new TypeValue(name)]));

/** The value of a name that is there in every environment. */
export const builtinValue = (name: string): Value | undefined => typeValues.get(name);
