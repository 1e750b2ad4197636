import test from 'ava';
import {
  formatImageReference,
  InvalidImageNameError,
  isImageReference,
  parseImageReference,
} from './image-reference.ts';

const full: readonly (readonly [string, string])[] = [
  ['nginx', 'docker.io/library/nginx:latest'],
  ['nginx:1.7.9', 'docker.io/library/nginx:1.7.9'],
  ['docker.io/nginx', 'docker.io/library/nginx:latest'],
  ['index.docker.io/library/nginx:1', 'docker.io/library/nginx:1'],
  ['raftsman/pause:1', 'docker.io/raftsman/pause:1'],
  ['quay.io/a/b', 'quay.io/a/b:latest'],
  ['localhost/x', 'localhost/x:latest'],
  ['localhost:5000/x:y', 'localhost:5000/x:y'],
  ['registry:5000/a/b:c', 'registry:5000/a/b:c'],
  [`a@sha256:${'0'.repeat(64)}`, `docker.io/library/a@sha256:${'0'.repeat(64)}`],
  [`a:1@sha256:${'0'.repeat(64)}`, `docker.io/library/a:1@sha256:${'0'.repeat(64)}`],
];
for (const [text, expected] of full) {
  test(`${text} stands for ${expected}`, t => {
    t.is(formatImageReference(parseImageReference(text)), expected);
  });
}

for (const text of ['', 'Nginx', 'nginx:', 'a b', 'a//b', '/a', 'a@sha256:12', 'a:b:c', '../a', 'a@b@c', 'x;rm -rf']) {
  test(`${JSON.stringify(text)} is no image name`, t => {
    t.throws(() => parseImageReference(text), { instanceOf: InvalidImageNameError });
  });
}

test('what looks like an id is not asked for by name', t => {
  t.true(isImageReference('nginx'));
  t.false(isImageReference('http://nginx'));
  t.false(isImageReference('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'));
});
