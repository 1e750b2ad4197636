/**
 * The program and image that hold a pod's namespaces. Both are made here, byte by byte, so that no registry and no
 * compiler is needed and every node makes the same image id.
 *
 * The program blocks all signals, waits for one, reaps orphans at SIGCHLD (it is PID 1 where pods share processes) and
 * exits at SIGTERM and SIGINT; nothing else. Blocked signals reach PID 1 of a namespace too, so no handler is needed.
 */
import { createHash } from 'node:crypto';
import { pack } from 'tar-stream';

/** Counted up whenever the bytes below change. */
export const pauseImage = 'raftsman/pause:1';
export type PauseArchitecture = 'amd64' | 'arm64';

const sigint = 2;
const sigterm = 15;
const sigchld = 17;
const loadAddress = 0x400000;
const elfHeaderBytes = 64;
const programHeaderBytes = 56;

/** A static ELF executable for Linux (System V ABI, ELF-64: one read-and-execute segment that holds the whole file). */
export function pauseProgram(architecture: PauseArchitecture): Buffer {
  const code = architecture === 'amd64' ? amd64Code() : arm64Code();
  const codeOffset = elfHeaderBytes + programHeaderBytes;
  const size = codeOffset + code.length;
  const file = Buffer.alloc(size);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]).copy(file);
  file.writeUInt16LE(2, 16); // ET_EXEC
  file.writeUInt16LE(architecture === 'amd64' ? 62 : 183, 18); // EM_X86_64, EM_AARCH64
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(loadAddress + codeOffset), 24); // entry
  file.writeBigUInt64LE(BigInt(elfHeaderBytes), 32); // program headers
  file.writeUInt16LE(elfHeaderBytes, 52);
  file.writeUInt16LE(programHeaderBytes, 54);
  file.writeUInt16LE(1, 56);
  file.writeUInt32LE(1, 64); // PT_LOAD
  file.writeUInt32LE(5, 68); // read, execute
  file.writeBigUInt64LE(BigInt(loadAddress), 80);
  file.writeBigUInt64LE(BigInt(loadAddress), 88);
  file.writeBigUInt64LE(BigInt(size), 96);
  file.writeBigUInt64LE(BigInt(size), 104);
  file.writeBigUInt64LE(0x10000n, 112); // alignment that suits 4, 16 and 64 KiB pages
  code.copy(file, codeOffset);
  return file;
}

/** The image's one layer (a tar archive) and its configuration: equal input, equal bytes, equal id. */
export async function pauseImageParts(
  architecture: PauseArchitecture,
): Promise<{ readonly layer: Buffer; readonly config: Buffer }> {
  const layer = await tarOf([{ name: 'pause', mode: 0o755, content: pauseProgram(architecture) }]);
  const config = Buffer.from(
    JSON.stringify({
      architecture,
      os: 'linux',
      created: '1970-01-01T00:00:00Z',
      config: { Entrypoint: ['/pause'], Env: [], StopSignal: 'SIGTERM' },
      rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] },
      history: [{ created: '1970-01-01T00:00:00Z', created_by: 'raftsman' }],
    }),
  );
  return { layer, config };
}

/** The image as `docker save` writes it (Docker Image Specification v1.2). */
export async function pauseImageArchive(architecture: PauseArchitecture): Promise<Buffer> {
  const { layer, config } = await pauseImageParts(architecture);
  const configName = `${sha256(config)}.json`;
  const manifest = JSON.stringify([{ Config: configName, RepoTags: [pauseImage], Layers: ['layer.tar'] }]);
  return await tarOf([
    { name: 'layer.tar', mode: 0o644, content: layer },
    { name: configName, mode: 0o644, content: config },
    { name: 'manifest.json', mode: 0o644, content: Buffer.from(manifest) },
  ]);
}

interface TarEntry {
  readonly name: string;
  readonly mode: number;
  readonly content: Buffer;
}

async function tarOf(entries: readonly TarEntry[]): Promise<Buffer> {
  const archive = pack();
  for (const { name, mode, content } of entries) archive.entry({ name, mode, mtime: new Date(0) }, content);
  archive.finalize();
  const chunks: Buffer[] = [];
  // An archive gives bytes only; its type does not say so.
  for await (const chunk of archive as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Machine code for x86-64: rt_sigprocmask 14, rt_sigtimedwait 128, wait4 61, exit_group 231. */
function amd64Code(): Buffer {
  const syscall = [0x0f, 0x05];
  const maskSize = [0x41, 0xba, 8, 0, 0, 0]; // mov r10d, 8
  const noTimeout = [0x31, 0xd2]; // xor edx, edx
  const block = [0xb8, 14, 0, 0, 0, 0x31, 0xff, 0x48, 0x8d, 0x35, 0, 0, 0, 0, ...noTimeout, ...maskSize, ...syscall];
  const wait = [0xb8, 128, 0, 0, 0, 0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0x31, 0xf6, ...noTimeout, ...maskSize, ...syscall];
  const compare = (signal: number) => [0x83, 0xf8, signal, 0x74, 0]; // cmp eax, signal; je
  const jumpToWait = [0xeb, 0];
  // wait4(-1, 0, WNOHANG, 0); test eax, eax; jg reap; jmp wait
  const reap = [0xb8, 61, 0, 0, 0, 0xbf, 0xff, 0xff, 0xff, 0xff, 0x31, 0xf6, 0xba, 1, 0, 0, 0, 0x45, 0x31, 0xd2];
  reap.push(...syscall, 0x85, 0xc0, 0x7f, 0, 0xeb, 0);
  const exit = [0xb8, 231, 0, 0, 0, 0x31, 0xff, ...syscall];

  const waitAt = block.length;
  const branches = [...compare(sigchld), ...compare(sigterm), ...compare(sigint), ...jumpToWait];
  const branchesAt = waitAt + wait.length;
  const reapAt = branchesAt + branches.length;
  const exitAt = reapAt + reap.length;
  const maskAt = exitAt + exit.length;
  const code = Buffer.from([...block, ...wait, ...branches, ...reap, ...exit, ...allSignals]);
  code.writeInt32LE(maskAt - 14, 10); // relative to the end of each lea
  code.writeInt32LE(maskAt - (waitAt + 12), waitAt + 8);
  const jump = (at: number, target: number) => code.writeInt8(target - (at + 1), at);
  jump(branchesAt + 4, reapAt);
  jump(branchesAt + 9, exitAt);
  jump(branchesAt + 14, exitAt);
  jump(branchesAt + 16, waitAt);
  jump(exitAt - 3, reapAt);
  jump(exitAt - 1, waitAt);
  return code;
}

/** Machine code for AArch64: rt_sigprocmask 135, rt_sigtimedwait 137, wait4 260, exit_group 94. */
function arm64Code(): Buffer {
  const waitAt = 6;
  const reapAt = 19;
  const exitAt = 28;
  const maskAt = 32; // words; kept even so that the mask is aligned
  const call = (number: number) => [move(8, number), 0xd4000001];
  const words = [
    ...[move(0, 0), address(1, maskAt - 1), move(2, 0), move(3, 8), ...call(135)],
    ...[address(0, maskAt - waitAt), move(1, 0), move(2, 0), move(3, 8), ...call(137)],
    ...[compareW0(sigchld), branchIf(equal, reapAt - 13)],
    ...[compareW0(sigterm), branchIf(equal, exitAt - 15)],
    ...[compareW0(sigint), branchIf(equal, exitAt - 17), branch(waitAt - 18)],
    ...[0x92800000, move(1, 0), move(2, 1), move(3, 0), ...call(260)], // x0 = -1
    ...[compareW0(0), branchIf(greater, reapAt - 26), branch(waitAt - 27)],
    ...[move(0, 0), ...call(94), 0xd503201f], // the last one pads: nop
  ];
  const code = Buffer.alloc(words.length * 4);
  for (const [index, word] of words.entries()) code.writeUInt32LE(word >>> 0, index * 4);
  return Buffer.concat([code, Buffer.from(allSignals)]);
}

const allSignals: readonly number[] = new Array<number>(8).fill(0xff);
const equal = 0x0;
const greater = 0xc;

function move(register: number, value: number): number {
  return 0xd2800000 | (value << 5) | register;
}
function address(register: number, wordOffset: number): number {
  return 0x10000000 | (wordOffset << 5) | register;
}
function compareW0(value: number): number {
  return 0x7100001f | (value << 10);
}
function branchIf(condition: number, wordOffset: number): number {
  return 0x54000000 | ((wordOffset & 0x7ffff) << 5) | condition;
}
function branch(wordOffset: number): number {
  return 0x14000000 | (wordOffset & 0x3ffffff);
}
