import test from 'ava';
import type { Pod } from '../api.ts';
import { memoryVolumeBytes } from './empty-dir.ts';

const MI = 2 ** 20;
type Limits = readonly (string | undefined)[];
function podOf(limits: Limits, init: Limits = [], overhead?: string): Pod {
  const containers = (all: Limits) =>
    all.map((memory, index) => ({ name: `c${index}`, resources: memory === undefined ? {} : { limits: { memory } } }));
  return {
    spec: {
      containers: containers(limits),
      initContainers: containers(init),
      ...(overhead !== undefined && { overhead: { memory: overhead } }),
    },
  };
}

const TABLE: readonly (readonly [string, Pod, string | undefined, number | undefined])[] = [
  ['nothing said: the node’s', podOf([undefined]), undefined, 1024],
  ['its own', podOf([undefined]), '16Mi', 16],
  ['its own is more than the node has', podOf([undefined]), '4Gi', 1024],
  ['what the containers may use', podOf(['64Mi', '32Mi']), undefined, 96],
  ['what they and the sandbox may use', podOf(['64Mi'], [], '8Mi'), undefined, 72],
  ['an init container may use more', podOf(['64Mi'], ['100Mi']), undefined, 100],
  ['its own is less', podOf(['64Mi']), '16Mi', 16],
  ['its own is more', podOf(['64Mi']), '128Mi', 64],
  ['one has no limit', podOf(['64Mi', undefined]), undefined, 1024],
  ['an init container has no limit', podOf(['64Mi'], [undefined]), undefined, 1024],
  ['an own of nothing counts for nothing', podOf(['64Mi']), '0', 64],
];
for (const [title, pod, sizeLimit, mebibytes] of TABLE)
  test(`an emptyDir in memory holds: ${title}`, t => {
    const emptyDir = { medium: 'Memory', ...(sizeLimit !== undefined && { sizeLimit }) };
    const bytes = memoryVolumeBytes(pod, { name: 'v', emptyDir }, 1024 * MI);
    t.is(bytes, mebibytes === undefined ? undefined : mebibytes * MI);
  });
