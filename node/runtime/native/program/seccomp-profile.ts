/**
 * A seccomp profile of the node (`type: Localhost`) as a filter: the JSON of the OCI's runtime specification, with the
 * conditions on capabilities and architectures that Docker's profiles have besides. As with runc, calls that nobody knows are
 * passed over, and several conditions on one argument are alternatives. Pure.
 */
import { z } from 'zod';
import {
  answer,
  architectureOffset,
  argumentOffset,
  auditArchitecture,
  encode,
  failWith,
  type Instruction,
  ifAtLeast,
  ifEqual,
  ifGreater,
  load,
  mask,
  noSuchCall,
  numberOffset,
  skip,
  x32Bit,
} from './bpf.ts';
import type { Architecture } from './numbers.ts';
import { systemCallNumbers } from './system-calls.ts';

/** The most that the kernel takes (BPF_MAXINSNS). */
const INSTRUCTIONS_MAX = 4096;
const EPERM = 1;

/** The profile cannot be followed; the message says why. */
export class SeccompProfileError extends Error {
  override readonly name = 'SeccompProfileError';
  readonly code = 'SECCOMP_PROFILE';
}

const ACTIONS = {
  SCMP_ACT_KILL: 0,
  SCMP_ACT_KILL_THREAD: 0,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: failWith(0),
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
} as const;
type Action = keyof typeof ACTIONS;
const OPERATORS = [
  'SCMP_CMP_NE',
  'SCMP_CMP_LT',
  'SCMP_CMP_LE',
  'SCMP_CMP_EQ',
  'SCMP_CMP_GE',
  'SCMP_CMP_GT',
  'SCMP_CMP_MASKED_EQ',
] as const;

const action = z.enum(Object.keys(ACTIONS) as [Action, ...Action[]]);
/** Numbers of 64 bits, which JSON's own reader would round. */
const word = z.bigint().min(0n).max(0xffff_ffff_ffff_ffffn);
const errorNumber = z.int().min(0).max(4095);
const circumstances = z.object({ caps: z.array(z.string()).optional(), arches: z.array(z.string()).optional() });
const argument = z.object({
  index: z.int().min(0).max(5),
  value: word,
  valueTwo: word.default(0n),
  op: z.enum(OPERATORS),
});
type Argument = z.infer<typeof argument>;
const profileSchema = z.object({
  defaultAction: action,
  defaultErrnoRet: errorNumber.optional(),
  syscalls: z
    .array(
      z.object({
        name: z.string().optional(),
        names: z.array(z.string()).default([]),
        action,
        errnoRet: errorNumber.optional(),
        args: z.array(argument).nullish(),
        includes: circumstances.optional(),
        excludes: circumstances.optional(),
      }),
    )
    .nullish(),
});

/** What is answered to a call whose arguments are so; always, if there are no conditions. */
interface Rule {
  readonly conditions: readonly Argument[];
  readonly answer: number;
}

export interface ProfileContext {
  readonly architecture: Architecture;
  /** Capabilities that the container has, in lower case and without `cap_`. */
  readonly kept: ReadonlySet<string>;
}

/** The filter's instructions, as the kernel takes them. @throws SeccompProfileError */
export function profileFilter(text: string, { architecture, kept }: ProfileContext): Buffer {
  const { defaultAction, defaultErrnoRet, syscalls } = readProfile(text);
  const otherwise = answerOf(defaultAction, defaultErrnoRet);
  const numbers = systemCallNumbers(architecture);
  const rules = new Map<number, Rule[]>();
  const holds = ({ caps, arches }: z.infer<typeof circumstances>) => ({
    caps: caps?.some(cap => kept.has(cap.toLowerCase().replace(/^cap_/, ''))),
    arches: arches?.includes(architecture),
  });
  for (const entry of syscalls ?? []) {
    const included = holds(entry.includes ?? {});
    const excluded = holds(entry.excludes ?? {});
    if (included.caps === false || included.arches === false || excluded.caps || excluded.arches) continue;
    const names = entry.name === undefined ? entry.names : [entry.name, ...entry.names];
    for (const number of names.map(name => numbers.get(name))) {
      if (number === undefined) continue;
      const added = alternatives(entry.args ?? []).map(conditions => ({
        conditions,
        answer: answerOf(entry.action, entry.errnoRet),
      }));
      rules.set(number, [...(rules.get(number) ?? []), ...added]);
    }
  }
  const instructions = [
    load(architectureOffset),
    ifEqual(auditArchitecture[architecture], 1, 0),
    answer(noSuchCall),
    load(numberOffset),
    ...(architecture === 'amd64' ? [ifAtLeast(x32Bit, 0, 1), answer(noSuchCall)] : []),
    ...[...rules].flatMap(([number, ofCall]) => callInstructions(number, ofCall, otherwise)),
    answer(otherwise),
  ];
  if (instructions.length > INSTRUCTIONS_MAX) {
    throw new SeccompProfileError(
      `the profile makes ${instructions.length} instructions, and ${INSTRUCTIONS_MAX} are the most`,
    );
  }
  return encode(instructions);
}

function readProfile(text: string): z.infer<typeof profileSchema> {
  let value: unknown;
  try {
    value = JSON.parse(text, exactWords as (key: string, value: unknown) => unknown);
  } catch (error) {
    throw new SeccompProfileError(`it is no JSON: ${error instanceof Error ? error.message : error}`);
  }
  const { data, error } = profileSchema.safeParse(value);
  if (data) return data;
  const problems = error.issues.map(({ path, message }) => `${z.core.toDotPath(path) || 'the profile'}: ${message}`);
  throw new SeccompProfileError(problems.join('; '));
}

/** Node hands the reviver the number as it was written (ECMAScript's "JSON.parse source text access"). */
function exactWords(key: string, value: unknown, { source = '' }: { readonly source?: string } = {}): unknown {
  return (key === 'value' || key === 'valueTwo') && /^\d+$/.test(source) ? BigInt(source) : value;
}

function answerOf(name: Action, errnoRet: number | undefined): number {
  const takesNumber = name === 'SCMP_ACT_ERRNO' || name === 'SCMP_ACT_TRACE';
  return takesNumber ? ACTIONS[name] | (errnoRet ?? EPERM) : ACTIONS[name];
}

/** All conditions have to hold, unless two are on one argument: then each is enough by itself. */
function alternatives(conditions: readonly Argument[]): readonly (readonly Argument[])[] {
  const isTwice = new Set(conditions.map(({ index }) => index)).size < conditions.length;
  return isTwice ? conditions.map(condition => [condition]) : [conditions];
}

/** Rules with conditions are asked in their order, then the first without. */
function callInstructions(number: number, rules: readonly Rule[], otherwise: number): readonly Instruction[] {
  const conditional = rules.filter(({ conditions }) => conditions.length > 0);
  const always = rules.find(({ conditions }) => conditions.length === 0);
  const body = [...conditional.flatMap(ruleInstructions), answer(always?.answer ?? otherwise)];
  return [ifEqual(number, 1, 0), skip(body.length), ...body];
}

function ruleInstructions(rule: Rule): readonly Instruction[] {
  let instructions: readonly Instruction[] = [answer(rule.answer)];
  for (const condition of rule.conditions.toReversed()) {
    instructions = [...conditionInstructions(condition, instructions.length), ...instructions];
  }
  return instructions;
}

const low = (value: bigint) => Number(value & 0xffff_ffffn);
const high = (value: bigint) => Number(value >> 32n);

/** Goes on with what follows if the condition holds, and passes over the `rest` instructions of the rule if not. */
function conditionInstructions({ index, value, valueTwo, op }: Argument, rest: number): readonly Instruction[] {
  const loadLow = load(argumentOffset(index));
  const loadHigh = load(argumentOffset(index) + 4);
  const [valueHigh, valueLow] = [high(value), low(value)];
  // Each is told how far to pass over where it is true, and where not.
  const equal = (then: number, otherwise: number) => [
    loadHigh,
    ifEqual(valueHigh, 0, otherwise + 2),
    loadLow,
    ifEqual(valueLow, then, otherwise),
  ];
  const above = (compareLow: typeof ifGreater, then: number, otherwise: number) => [
    loadHigh,
    ifGreater(valueHigh, then + 3, 0),
    ifEqual(valueHigh, 0, otherwise + 2),
    loadLow,
    compareLow(valueLow, then, otherwise),
  ];
  switch (op) {
    case 'SCMP_CMP_EQ':
      return equal(0, rest);
    case 'SCMP_CMP_NE':
      return equal(rest, 0);
    case 'SCMP_CMP_GT':
      return above(ifGreater, 0, rest);
    case 'SCMP_CMP_GE':
      return above(ifAtLeast, 0, rest);
    case 'SCMP_CMP_LE':
      return above(ifGreater, rest, 0);
    case 'SCMP_CMP_LT':
      return above(ifAtLeast, rest, 0);
    default:
      // The value is a mask of the argument.
      return [
        loadHigh,
        mask(valueHigh),
        ifEqual(high(valueTwo), 0, rest + 3),
        loadLow,
        mask(valueLow),
        ifEqual(low(valueTwo), 0, rest),
      ];
  }
}
