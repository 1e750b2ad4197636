/**
 * Small static programs that are a list of system calls, made here byte by byte. Node.js cannot mount, change its root
 * or install a seccomp filter, and an image need not hold the machine's tools; with such a program a container is set up
 * by the kernel alone, and its command takes over with nothing of the machine's in reach. Pure.
 *
 * The machine code is one loop over records of ten words: number, six arguments, where to go on if the call fails, where
 * to put its result, and a spare one. A result may go into an argument of a later record, so descriptors can be passed on.
 */
import type { Architecture, SystemCall } from './numbers.ts';
import { numberOf } from './numbers.ts';

/** What a call is given: a number, text or bytes (as an address), a list of texts that ends with a zero (as an address). */
export type Argument = number | bigint | string | Uint8Array | readonly string[] | Filter | FutureResult;
/** Instructions of seccomp, given to the kernel as `struct sock_fprog`. */
export class Filter {
  readonly instructions: Buffer;
  constructor(instructions: Buffer) {
    this.instructions = instructions;
  }
}
/** The place of a result that a later call takes as its argument. */
export class FutureResult {}
/** A place to go on at. */
export class Label {
  index: number | undefined;
}

export type OnFailure = 'ignore' | Label | { readonly fail: string; readonly exitCode?: number };

interface Record_ {
  readonly call: SystemCall | 'none';
  readonly args: readonly Argument[];
  onFailure: Label | undefined;
  readonly result: FutureResult | undefined;
}

const recordWords = 10;
const wordBytes = 8;
const recordBytes = recordWords * wordBytes;
const loadAddress = 0x400000;
const elfHeaderBytes = 64;
const programHeaderBytes = 56;
const defaultExitCode = 128;
const filterInstructionBytes = 8;

/** Where a program tells what went wrong: the text, a zero, and the result of the call as eight bytes, little-endian. */
export interface ProgramOptions {
  readonly architecture: Architecture;
  readonly reportDescriptor: number;
}

export class ProgramBuilder {
  readonly #options: ProgramOptions;
  readonly #records: Record_[] = [];
  readonly #failures = new Map<string, { readonly label: Label; readonly text: string; readonly exitCode: number }>();

  constructor(options: ProgramOptions) {
    this.#options = options;
  }

  /** Adds a call; what happens after a failure is said each time. */
  call(call: SystemCall, args: readonly Argument[], onFailure: OnFailure, result?: FutureResult): this {
    this.#records.push({ call, args, onFailure: this.#labelOf(onFailure), result });
    return this;
  }

  /** The next call is where the label leads to. */
  place(label: Label): this {
    label.index = this.#records.length;
    return this;
  }

  /** Goes on elsewhere. */
  jump(label: Label): this {
    this.#records.push({ call: 'none', args: [], onFailure: label, result: undefined });
    return this;
  }

  /** Tells a text without any result and ends. */
  fail(text: string, exitCode: number): this {
    const { reportDescriptor } = this.#options;
    this.call('write', [reportDescriptor, text, Buffer.byteLength(text)], 'ignore');
    return this.call('exit_group', [exitCode], 'ignore');
  }

  /** The executable file. */
  build(): Buffer {
    this.#addFailures();
    const { architecture } = this.#options;
    const codeAt = elfHeaderBytes + programHeaderBytes;
    const codeBytes = 128;
    const recordsAt = codeAt + codeBytes;
    const data = new DataSection(loadAddress + recordsAt + this.#records.length * recordBytes);
    const scratch = data.add(Buffer.alloc(wordBytes), wordBytes);
    const failed = data.add(Buffer.alloc(wordBytes), wordBytes);
    const addressOf = (index: number) => loadAddress + recordsAt + index * recordBytes;
    const targets = this.#resultTargets(addressOf);
    const records = Buffer.alloc(this.#records.length * recordBytes);
    for (const [index, record] of this.#records.entries()) {
      const at = index * recordBytes;
      const word = (position: number, value: bigint) =>
        records.writeBigUInt64LE(BigInt.asUintN(64, value), at + position * wordBytes);
      // A number that no kernel knows always fails: that is a jump.
      word(0, record.call === 'none' ? -1n : BigInt(numberOf(record.call, architecture)));
      for (const [position, argument] of record.args.entries()) word(position + 1, data.argument(argument, failed));
      const elsewhere = record.onFailure?.index ?? index + 1;
      word(7, BigInt(addressOf(elsewhere)));
      const reports = record.onFailure !== undefined;
      const target = record.result === undefined ? undefined : targets.get(record.result);
      word(8, BigInt(target ?? (reports && record.call !== 'none' ? failed : scratch)));
    }
    const code = Buffer.alloc(codeBytes);
    (architecture === 'amd64' ? amd64Code(addressOf(0)) : arm64Code(addressOf(0))).copy(code);
    return elfFile(architecture, Buffer.concat([code, records, data.bytes()]));
  }

  #labelOf(onFailure: OnFailure): Label | undefined {
    if (onFailure === 'ignore') return undefined;
    if (onFailure instanceof Label) return onFailure;
    const { fail, exitCode = defaultExitCode } = onFailure;
    const key = `${exitCode} ${fail}`;
    const known = this.#failures.get(key);
    if (known !== undefined) return known.label;
    const label = new Label();
    this.#failures.set(key, { label, text: fail, exitCode });
    return label;
  }

  #addFailures(): void {
    const { reportDescriptor } = this.#options;
    for (const { label, text, exitCode } of this.#failures.values()) {
      this.place(label);
      this.call('write', [reportDescriptor, `${text}\0`, Buffer.byteLength(text) + 1], 'ignore');
      this.call('write', [reportDescriptor, failureResult, wordBytes], 'ignore');
      this.call('exit_group', [exitCode], 'ignore');
    }
    this.#failures.clear();
  }

  #resultTargets(addressOf: (index: number) => number): Map<FutureResult, number> {
    const targets = new Map<FutureResult, number>();
    for (const [index, record] of this.#records.entries()) {
      for (const [position, argument] of record.args.entries()) {
        if (!(argument instanceof FutureResult) || argument === failureResult) continue;
        if (targets.has(argument)) throw new RangeError('a result goes to one argument');
        targets.set(argument, addressOf(index) + (position + 1) * wordBytes);
      }
    }
    return targets;
  }
}

const failureResult = new FutureResult();

/** Text and lists of a program, with their addresses. */
class DataSection {
  readonly #start: number;
  readonly #chunks: Buffer[] = [];
  readonly #texts = new Map<string, number>();
  #size = 0;

  constructor(start: number) {
    this.#start = start;
  }

  argument(argument: Argument, failed: number): bigint {
    if (typeof argument === 'number' || typeof argument === 'bigint') return BigInt(argument);
    if (argument === failureResult) return BigInt(failed);
    if (argument instanceof FutureResult) return 0n;
    if (typeof argument === 'string') return BigInt(this.#text(argument));
    if (argument instanceof Uint8Array) return BigInt(this.add(Buffer.from(argument), wordBytes));
    if (argument instanceof Filter) return BigInt(this.#filter(argument));
    const addresses = argument.map(text => this.#text(text));
    const list = Buffer.alloc((addresses.length + 1) * wordBytes);
    for (const [index, address] of addresses.entries()) list.writeBigUInt64LE(BigInt(address), index * wordBytes);
    return BigInt(this.add(list, wordBytes));
  }

  /** Gives the address. */
  add(bytes: Buffer, alignment: number): number {
    const gap = (alignment - (this.#size % alignment)) % alignment;
    this.#chunks.push(Buffer.alloc(gap), bytes);
    const address = this.#start + this.#size + gap;
    this.#size += gap + bytes.length;
    return address;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  #filter({ instructions }: Filter): number {
    const head = Buffer.alloc(2 * wordBytes);
    head.writeUInt16LE(instructions.length / filterInstructionBytes);
    head.writeBigUInt64LE(BigInt(this.add(instructions, wordBytes)), wordBytes);
    return this.add(head, wordBytes);
  }

  #text(text: string): number {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    const address = this.add(Buffer.from(`${text}\0`), 1);
    this.#texts.set(text, address);
    return address;
  }
}

/** A static ELF-64 executable of one segment that may be read, written (results) and executed. */
function elfFile(architecture: Architecture, body: Buffer): Buffer {
  const head = Buffer.alloc(elfHeaderBytes + programHeaderBytes);
  const size = head.length + body.length;
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]).copy(head);
  head.writeUInt16LE(2, 16); // ET_EXEC
  head.writeUInt16LE(architecture === 'amd64' ? 62 : 183, 18); // EM_X86_64, EM_AARCH64
  head.writeUInt32LE(1, 20);
  head.writeBigUInt64LE(BigInt(loadAddress + head.length), 24); // entry
  head.writeBigUInt64LE(BigInt(elfHeaderBytes), 32);
  head.writeUInt16LE(elfHeaderBytes, 52);
  head.writeUInt16LE(programHeaderBytes, 54);
  head.writeUInt16LE(1, 56);
  head.writeUInt32LE(1, 64); // PT_LOAD
  head.writeUInt32LE(7, 68); // read, write, execute
  head.writeBigUInt64LE(BigInt(loadAddress), 80);
  head.writeBigUInt64LE(BigInt(loadAddress), 88);
  head.writeBigUInt64LE(BigInt(size), 96);
  head.writeBigUInt64LE(BigInt(size), 104);
  head.writeBigUInt64LE(0x10000n, 112);
  return Buffer.concat([head, body]);
}

function amd64Code(records: number): Buffer {
  const load = (...modes: number[]) => modes;
  const body = [
    ...load(0x48, 0x8b, 0x03), // mov rax, [rbx]
    ...load(0x48, 0x8b, 0x7b, 0x08), // mov rdi, [rbx+8]
    ...load(0x48, 0x8b, 0x73, 0x10), // mov rsi, [rbx+16]
    ...load(0x48, 0x8b, 0x53, 0x18), // mov rdx, [rbx+24]
    ...load(0x4c, 0x8b, 0x53, 0x20), // mov r10, [rbx+32]
    ...load(0x4c, 0x8b, 0x43, 0x28), // mov r8, [rbx+40]
    ...load(0x4c, 0x8b, 0x4b, 0x30), // mov r9, [rbx+48]
    ...[0x0f, 0x05], // syscall
    ...load(0x48, 0x8b, 0x4b, 0x40), // mov rcx, [rbx+64]
    ...[0x48, 0x89, 0x01], // mov [rcx], rax
    ...[0x48, 0x85, 0xc0], // test rax, rax
    ...[0x78, 0x06], // js over the next two
    ...[0x48, 0x83, 0xc3, recordBytes], // add rbx, size of a record
    ...[0xeb, 0x00], // jmp to the start (1)
    ...[0x48, 0x8b, 0x5b, 0x38], // mov rbx, [rbx+56]
    ...[0xeb, 0x00], // jmp to the start (2)
  ];
  const start = Buffer.from([0x48, 0xc7, 0xc3, 0, 0, 0, 0]); // mov rbx, records
  start.writeInt32LE(records, 3);
  const loop = Buffer.from(body);
  loop.writeInt8(-(loop.length - 6), loop.length - 7);
  loop.writeInt8(-loop.length, loop.length - 1);
  return Buffer.concat([start, loop]);
}

function arm64Code(records: number): Buffer {
  const move = (register: number, value: number, half: number) =>
    ((half === 0 ? 0xd2800000 : 0xf2800000) | (half << 21) | (value << 5) | register) >>> 0;
  /** Offsets in bytes; x19 holds the record. */
  const load = (register: number, offset: number) => (0xf9400000 | ((offset / 8) << 10) | (19 << 5) | register) >>> 0;
  const words = [
    move(19, records & 0xffff, 0),
    move(19, records >>> 16, 1),
    load(8, 0),
    ...[0, 1, 2, 3, 4, 5].map(register => load(register, 8 + 8 * register)),
    0xd4000001, // svc 0
    load(9, 64),
    0xf9000120, // str x0, [x9]
    0xb7f80060, // tbnz x0, #63, three words on
    (0x91000000 | (recordBytes << 10) | (19 << 5) | 19) >>> 0, // add x19, x19, size of a record
    (0x14000000 | (-12 & 0x3ffffff)) >>> 0, // b to the first load
    load(19, 56),
    (0x14000000 | (-14 & 0x3ffffff)) >>> 0, // b to the first load
  ];
  const code = Buffer.alloc(words.length * 4);
  for (const [index, word] of words.entries()) code.writeUInt32LE(word, index * 4);
  return code;
}
