/** Device nodes and extended attributes, for which Node.js has no calls: made by small programs of system calls. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { mustRun, type RunCommand } from '../runtime/command.ts';
import type { Architecture } from '../runtime/native/program/numbers.ts';
import { ProgramBuilder } from '../runtime/native/program/program.ts';
import { attributesPerProgramMax } from './limits.ts';
import type { DeviceNode, FileAttributes, SpecialFiles } from './unpack.ts';

const AT_FDCWD = -100;
const typeBits = { character: 0o020000, block: 0o060000, pipe: 0o010000 } as const;
const nodeMode = 0o600;

export function createSpecialFiles(options: {
  /** Programs go here; it is on a disk that programs may be run from. */
  readonly directory: string;
  readonly architecture: Architecture;
  readonly run: RunCommand;
}): SpecialFiles {
  let programs = 0;
  const start = () => new ProgramBuilder({ architecture: options.architecture, reportDescriptor: 2 });
  const perform = async (program: ProgramBuilder) => {
    await mkdir(options.directory, { recursive: true });
    programs += 1;
    const file = path.join(options.directory, `program-${programs}`);
    try {
      await writeFile(file, program.call('exit_group', [0], 'ignore').build(), { mode: 0o700 });
      await mustRun(options.run, file, []);
    } finally {
      await rm(file, { force: true });
    }
  };
  return {
    async makeNode(file, node) {
      const device = deviceNumber(node);
      await perform(
        start().call('mknodat', [AT_FDCWD, file, typeBits[node.type] | nodeMode, device], { fail: `mknod ${file}` }),
      );
    },
    async setAttributes(files: readonly FileAttributes[]) {
      const all = files.flatMap(({ file, attributes }) => attributes.map(attribute => ({ file, ...attribute })));
      for (let at = 0; at < all.length; at += attributesPerProgramMax) {
        const program = start();
        for (const { file, name, value } of all.slice(at, at + attributesPerProgramMax)) {
          // The file system may know no such attributes, as with tar itself.
          program.call('lsetxattr', [file, name, value, value.length, 0], 'ignore');
        }
        await perform(program);
      }
    },
  };
}

/** As the kernel packs it (`makedev`). */
function deviceNumber({ major, minor }: Pick<DeviceNode, 'major' | 'minor'>): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return ((high & ~0xfffn) << 32n) | ((high & 0xfffn) << 8n) | ((low & ~0xffn) << 12n) | (low & 0xffn);
}
