/** Classic BPF as seccomp(2) takes it: what a filter sees of a system call, and instructions by their meaning. Pure. */
import type { Architecture } from './numbers.ts';

export type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, value: number];

/** Where the call's number, its architecture and its arguments (64 bits, little end first) lie. */
export const numberOffset = 0;
export const architectureOffset = 4;
export const argumentOffset = (index: number) => 16 + 8 * index;
export const auditArchitecture: Readonly<Record<Architecture, number>> = { amd64: 0xc000003e, arm64: 0xc00000b7 };
/** Calls of the second table of x86-64 have this bit. */
export const x32Bit = 0x40000000;

/** Answers of a filter. */
export const allow = 0x7fff0000;
export const failWith = (errorNumber: number) => 0x00050000 | errorNumber;
export const notPermitted = failWith(1);
export const noSuchCall = failWith(38);

export const load = (offset: number): Instruction => [0x20, 0, 0, offset];
export const answer = (value: number): Instruction => [0x06, 0, 0, value];
export const mask = (bits: number): Instruction => [0x54, 0, 0, bits];
/** Passes over so many instructions; the conditions below cannot reach as far. */
export const skip = (count: number): Instruction => [0x05, 0, 0, count];
export const ifEqual = (value: number, then: number, otherwise: number): Instruction => [0x15, then, otherwise, value];
export const ifGreater = (value: number, then: number, otherwise: number): Instruction => [
  0x25,
  then,
  otherwise,
  value,
];
export const ifAtLeast = (value: number, then: number, otherwise: number): Instruction => [
  0x35,
  then,
  otherwise,
  value,
];
export const ifAnyBit = (value: number, then: number, otherwise: number): Instruction => [0x45, then, otherwise, value];

/** The instructions as the kernel takes them. */
export function encode(instructions: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(instructions.length * 8);
  for (const [index, [code, jumpTrue, jumpFalse, value]] of instructions.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(jumpTrue, index * 8 + 2);
    bytes.writeUInt8(jumpFalse, index * 8 + 3);
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4);
  }
  return bytes;
}
