/** The store as it is published: `npm run bench` builds it first. Without a build, its source, which is slower to start. */
import { existsSync } from 'node:fs';

type Store = typeof import('../../../store/index.ts');

const BUILT = new URL('../../../dist/store/index.js', import.meta.url);

export async function loadStore(): Promise<Store> {
  if (!existsSync(BUILT)) return await import('../../../store/index.ts');
  // The build has the same types as its source.
  return (await import(BUILT.href)) as Store;
}
