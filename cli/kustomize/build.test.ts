/** Kustomizations in `testdata`, beside what kubectl 1.33 (kustomize 5.6) makes of them; and what is said of mistakes. */
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { CommandError } from '../client/errors.ts';
import { yamlText } from '../output/documents.ts';
import { buildKustomization } from './build.ts';
import { changedImage } from './images.ts';

const data = join(import.meta.dirname, 'testdata');

function built(folder: string): { readonly text: string; readonly warnings: readonly string[] } {
  const warnings: string[] = [];
  const objects = buildKustomization(folder, { warn: text => warnings.push(text), env: {}, order: 'by kind' });
  return { text: objects.map(object => `${yamlText(object)}\n`).join('---\n'), warnings };
}

for (const expected of globSync(join(data, '**/expected.yaml'))) {
  test(`as kubectl: ${relative(data, dirname(expected))}`, t => {
    t.is(built(dirname(expected)).text, readFileSync(expected, 'utf8'));
  });
}

test('as they come, and a word on what has a follower', t => {
  const warnings: string[] = [];
  const objects = buildKustomization(join(data, 'overlay/base'), {
    warn: text => warnings.push(text),
    env: {},
    order: 'as they come',
  });
  t.deepEqual(
    objects.slice(0, 3).map(({ kind }) => kind),
    ['Deployment', 'Service', 'ServiceAccount'],
  );
  t.deepEqual(warnings, [
    "# Warning: 'commonLabels' is deprecated. Please use 'labels' instead. Run 'kustomize edit fix' to update your Kustomization automatically.",
  ]);
});

test('images: by the whole name, with ports, tags, digests and suffixes', t => {
  const entry = { name: 'a.b:5000/c', newTag: '2' };
  t.is(changedImage('a.b:5000/c', entry), 'a.b:5000/c:2');
  t.is(changedImage('a.b:5000/c:1@sha256:00', entry), 'a.b:5000/c:2');
  t.is(changedImage('a.b:5000/cd:1', entry), 'a.b:5000/cd:1');
  t.is(changedImage('x:1@sha256:00', { name: 'x', newName: 'y' }), 'y:1@sha256:00');
  t.is(changedImage('x:1', { name: 'x', digest: 'sha256:11' }), 'x@sha256:11');
  t.is(changedImage('x:1', { name: 'x', tagSuffix: '-debug' }), 'x:1-debug');
});

const CONFIG_MAP = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n';
/** Writes files into a folder of the test's own, and builds `top` below it. */
function buildOf(t: ExecutionContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'raftsman-kustomize-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries({ 'top/cm.yaml': CONFIG_MAP, ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  try {
    return built(join(folder, 'top')).text;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return error.message.replaceAll(folder, '');
  }
}
const build = (t: ExecutionContext, kustomization: string, files: Readonly<Record<string, string>> = {}) =>
  buildOf(t, { ...files, 'top/kustomization.yaml': kustomization });

const MISTAKES: readonly (readonly [string, string, string])[] = [
  ['nothing in it', '', 'error: kustomization.yaml is empty'],
  ['an unknown field', 'foo: bar', 'error: invalid Kustomization: json: unknown field "foo"'],
  [
    'an unknown field of an image',
    'resources: [cm.yaml]\nimages: [{nam: x}]',
    'error: invalid Kustomization: json: unknown field "nam"',
  ],
  [
    'a list for a text',
    'namePrefix: [a]',
    'error: invalid Kustomization: json: cannot unmarshal array into Go struct field Kustomization.namePrefix of type string',
  ],
  [
    'a file that is not there',
    'resources: [no.yaml]',
    "error: accumulating resources from 'no.yaml': evalsymlink failure on '/top/no.yaml' : lstat /top/no.yaml: no such file or directory",
  ],
  [
    'a file outside',
    'resources: [../outside.yaml]',
    "error: accumulating resources from '../outside.yaml': security; file '/outside.yaml' is not in or below '/top'",
  ],
  [
    'a generator’s file outside',
    'configMapGenerator: [{name: a, files: [../outside.yaml]}]',
    "error: security; file '/outside.yaml' is not in or below '/top'",
  ],
  [
    'a file twice',
    'resources: [cm.yaml, cm.yaml]',
    'error: may not add resource with an already registered id: ConfigMap.v1.[noGrp]/a.[noNs]',
  ],
  ['itself', 'resources: [../top]', "error: cycle detected: candidate root '/top' contains visited root '/top'"],
  [
    'a patch for nobody',
    'resources: [cm.yaml]\npatches: [{patch: "{apiVersion: v1, kind: Secret, metadata: {name: x}}"}]',
    'error: no resource matches strategic merge patch "Secret.v1.[noGrp]/x.[noNs]": no matches for Id Secret.v1.[noGrp]/x.[noNs]; failed to find unique target for patch Secret.v1.[noGrp]/x.[noNs]',
  ],
  [
    'a JSON patch that does not fit',
    'resources: [cm.yaml]\npatches: [{target: {kind: ConfigMap}, patch: "[{op: remove, path: /data}]"}]',
    'error: the patch for ConfigMap.v1.[noGrp]/a.[noNs] cannot be applied: ',
  ],
  [
    'replicas for nobody',
    'resources: [cm.yaml]\nreplicas: [{name: x, count: 1}]',
    'error: resource with name x does not match a config with the following GVK [Deployment.[noVer].[noGrp] StatefulSet.[noVer].[noGrp] ReplicaSet.[noVer].[noGrp] ReplicationController.[noVer].[noGrp]]',
  ],
  [
    'a merge with what is not there',
    'configMapGenerator: [{name: b, behavior: merge, literals: [x=y]}]',
    'error: ConfigMap.v1.[noGrp]/b.[noNs] does not exist; cannot merge or replace',
  ],
  [
    'a literal without a value',
    'configMapGenerator: [{name: b, literals: [x]}]',
    'error: loading KV pairs: literal sources [x]: invalid literal source x, expected key=value',
  ],
  [
    'plugins',
    'resources: [cm.yaml]\ntransformers: [x.yaml]',
    `error: raftsman's kustomize does not know transformers: use "kustomize build", and pipe it into "raftsman apply -f -"`,
  ],
  [
    'what lies elsewhere',
    'resources: ["https://example.com/x//y?ref=z"]',
    `error: raftsman's kustomize reads folders of this machine only: bring https://example.com/x//y?ref=z here first, by "git clone"`,
  ],
  [
    'a component among the resources',
    'resources: [part]',
    "error: 'part' is a component: it belongs under components, not resources",
  ],
  [
    'a replacement of nothing',
    'resources: [cm.yaml]\nreplacements: [{source: {kind: X}, targets: [{select: {kind: ConfigMap}}]}]',
    'error: nothing selected by kind=X',
  ],
  [
    'a replacement in an encoding',
    'resources: [cm.yaml]\nreplacements: [{source: {kind: ConfigMap}, targets: [{select: {kind: ConfigMap}, fieldPaths: [metadata.name], options: {encoding: base64}}]}]',
    'error: replacements with the encoding base64 are not known here',
  ],
  [
    'a replacement’s field that is not there',
    'resources: [cm.yaml]\nreplacements: [{source: {kind: ConfigMap}, targets: [{select: {kind: ConfigMap}, fieldPaths: [data.x]}]}]',
    'error: unable to find field "data.x" in replacement target',
  ],
];
for (const [title, kustomization, message] of MISTAKES) {
  test(`a mistake: ${title}`, t => {
    const found = build(t, kustomization, {
      'outside.yaml': CONFIG_MAP,
      'top/part/kustomization.yaml': 'kind: Component\nnamePrefix: x-\n',
    });
    t.true(found.startsWith(message), found);
  });
}

test('keys such as __proto__ are keys like others', t => {
  const text = build(t, 'resources: [cm.yaml]\npatches: [{path: p.yaml}]\ncommonAnnotations: {__proto__: x}\n', {
    'top/p.yaml': `${CONFIG_MAP}data: {__proto__: polluted}\n`,
  });
  t.is(({} as Record<string, unknown>).polluted, undefined);
  t.true(text.includes('kind: ConfigMap'), text);
});
