/** A person's editor: KUBE_EDITOR, EDITOR, or vi. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failure } from '../client/errors.ts';
import type { Session } from '../client/session.ts';

/** Lets a person change a text, and gives what is left of it. */
export async function editText(session: Session, text: string, what: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), `${session.context.name}-edit-`));
  const file = join(folder, `${what.replaceAll(/[^\w.-]/g, '-')}.yaml`);
  try {
    writeFileSync(file, text, { mode: 0o600 });
    const { KUBE_EDITOR, EDITOR } = session.context.env;
    const editor = KUBE_EDITOR || EDITOR || 'vi';
    // Editors are given with arguments (`code --wait`), so that a shell must read them.
    const result = spawnSync('sh', ['-c', `${editor} "$1"`, 'sh', file], { stdio: 'inherit' });
    if (result.status !== 0) {
      throw failure(
        `there was a problem with the editor ${JSON.stringify(editor)}: name another one with KUBE_EDITOR or EDITOR`,
      );
    }
    return readFileSync(file, 'utf8');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
