/** A state machine for tests: remembers the commands in order, as text, and can be snapshotted. */
import type { SnapshotMetadata } from '../../core/types.ts';
import type { CommittedCommand, StateMachine, StateMachineSnapshot } from '../state-machine.ts';

const CHUNK_BYTES = 64;

/** What outlives the process: the commands that a flush made durable. */
export interface LogMachineDisk {
  appliedIndex: number;
  commands: readonly string[];
}

export class LogMachine implements StateMachine<string> {
  readonly #disk: LogMachineDisk;
  #commands: string[] = [];
  #appliedIndex = 0;

  constructor(disk: LogMachineDisk = { appliedIndex: 0, commands: [] }) {
    this.#disk = disk;
  }

  get commands(): readonly string[] {
    return this.#commands;
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  async open(): Promise<{ readonly appliedIndex: number }> {
    this.#commands = [...this.#disk.commands];
    this.#appliedIndex = this.#disk.appliedIndex;
    return { appliedIndex: this.#appliedIndex };
  }

  /** The result of a command is its place and its text. */
  apply(commands: readonly CommittedCommand[], throughIndex: number): readonly string[] {
    this.#appliedIndex = throughIndex;
    return commands.map(command => {
      const text = Buffer.from(command.data).toString();
      this.#commands.push(text);
      return `${this.#commands.length}:${text}`;
    });
  }

  async flush(): Promise<number> {
    this.#disk.appliedIndex = this.#appliedIndex;
    this.#disk.commands = [...this.#commands];
    return this.#appliedIndex;
  }

  snapshot(): StateMachineSnapshot {
    const bytes = Buffer.from(JSON.stringify(this.#commands));
    async function* chunks(): AsyncGenerator<Uint8Array> {
      for (let start = 0; start < bytes.length; start += CHUNK_BYTES) yield bytes.subarray(start, start + CHUNK_BYTES);
    }
    return { index: this.#appliedIndex, chunks: chunks(), release() {} };
  }

  async restore(metadata: SnapshotMetadata, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const parts: Uint8Array[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    const commands: unknown = JSON.parse(Buffer.concat(parts).toString());
    if (!Array.isArray(commands)) throw new Error('the snapshot is broken');
    this.#commands = commands.map(String);
    this.#appliedIndex = metadata.index;
    await this.flush();
  }

  async close(): Promise<void> {}
}
