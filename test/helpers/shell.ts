/** A shell for tests that type what people type. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { run, until } from './run.ts';

/** A shell in a folder of its own, in which `kubectl` is the one under test. */
export class Shell {
  readonly #t: ExecutionContext;
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(t: ExecutionContext, folder: string, env: NodeJS.ProcessEnv) {
    this.#t = t;
    this.#folder = folder;
    this.#env = env;
  }

  /** Types a line; it has to succeed and to print what `pattern` says. */
  async type(line: string, pattern: RegExp = /(?:)/): Promise<string> {
    const { code, stdout, stderr } = await run('bash', ['-o', 'pipefail', '-c', line], {
      env: this.#env,
      cwd: this.#folder,
    });
    const printed = `${stdout}${stderr}`;
    if (code !== 0 || !pattern.test(printed)) {
      this.#t.fail(`$ ${line}\nended with ${code}; wanted ${pattern}; printed:\n${printed}`);
    }
    return stdout;
  }

  /** Types a line again until it prints what `pattern` says. */
  async wait(line: string, pattern: RegExp, timeoutMs = 60_000): Promise<string> {
    return until(
      `$ ${line} → ${pattern}`,
      async () => {
        const { code, stdout, stderr } = await run('bash', ['-o', 'pipefail', '-c', line], {
          env: this.#env,
          cwd: this.#folder,
        });
        if (code === 0 && pattern.test(stdout)) return stdout || ' ';
        throw new Error(`ended with ${code}: ${stdout}${stderr}`);
      },
      timeoutMs,
    );
  }

  write(name: string, text: string): Promise<void> {
    return writeFile(join(this.#folder, name), text);
  }
}
