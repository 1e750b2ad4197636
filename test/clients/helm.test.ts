/**
 * Helm 3 and 4: a chart with hooks, a CRD, a custom resource and a test is installed, upgraded, rolled back and uninstalled, and
 * waited for. RAFTSMAN_HELMS names the programs; otherwise the one on the PATH is taken.
 */
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import test from 'ava';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { onPath } from '../helpers/machine.ts';
import { testWith } from '../helpers/requirements.ts';
import { run } from '../helpers/run.ts';
import { Shell } from '../helpers/shell.ts';

const CHART: Readonly<Record<string, string>> = {
  'Chart.yaml': `apiVersion: v2
name: shop
description: A shop
version: 1.0.0
appVersion: "1"
`,
  'values.yaml': `replicas: 1
image: example.org/shop:1
colour: blue
`,
  'crds/widgets.yaml': `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.shop.example}
spec:
  group: shop.example
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              colour: {type: string, enum: [blue, red]}
`,
  'templates/deployment.yaml': `apiVersion: apps/v1
kind: Deployment
metadata: {name: "{{ .Release.Name }}", labels: {app: "{{ .Release.Name }}"}}
spec:
  replicas: {{ .Values.replicas }}
  progressDeadlineSeconds: 5
  selector: {matchLabels: {app: "{{ .Release.Name }}"}}
  template:
    metadata: {labels: {app: "{{ .Release.Name }}"}}
    spec:
      containers:
      - {name: shop, image: "{{ .Values.image }}", ports: [{containerPort: 80}]}
`,
  'templates/service.yaml': `apiVersion: v1
kind: Service
metadata: {name: "{{ .Release.Name }}"}
spec:
  selector: {app: "{{ .Release.Name }}"}
  ports: [{port: 80}]
`,
  'templates/widget.yaml': `apiVersion: shop.example/v1
kind: Widget
metadata: {name: "{{ .Release.Name }}"}
spec: {colour: "{{ .Values.colour }}"}
`,
  'templates/before.yaml': `apiVersion: batch/v1
kind: Job
metadata:
  name: "{{ .Release.Name }}-before"
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-delete-policy: before-hook-creation
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: "fake/exit-0:1"}]
`,
  'templates/after.yaml': `apiVersion: v1
kind: ConfigMap
metadata:
  name: "{{ .Release.Name }}-after"
  annotations: {helm.sh/hook: "post-install,post-upgrade", helm.sh/hook-delete-policy: before-hook-creation}
data: {revision: "{{ .Release.Revision }}"}
`,
  'templates/tests/reachable.yaml': `apiVersion: v1
kind: Pod
metadata:
  name: "{{ .Release.Name }}-test"
  annotations: {helm.sh/hook: test, helm.sh/hook-delete-policy: "before-hook-creation,hook-succeeded"}
spec:
  restartPolicy: Never
  containers: [{name: c, image: "fake/exit-0:1"}]
`,
};

const helms = (process.env.RAFTSMAN_HELMS ?? onPath('helm') ?? '').split(delimiter).filter(Boolean);
if (helms.length === 0)
  testWith(['kubectl'])('a chart with helm (needs helm on the PATH or in RAFTSMAN_HELMS)', t => t.pass());

let cluster: TestCluster | undefined;
test.after.always('stop the cluster', async () => {
  await cluster?.remove();
});

for (const helm of helms) {
  test.serial(`a chart with hooks, CRD and --wait, by ${helm.split('/').at(-1)}`, async t => {
    t.timeout(300_000);
    if (!cluster) {
      cluster = await newCluster({ nodes: 1 });
      await cluster.start();
    }
    const folder = await mkdtemp(join(tmpdir(), 'raftsman-helm-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    await symlink(helm, join(folder, 'helm'));
    const env = { ...cluster.env, HOME: folder, PATH: `${folder}${delimiter}${process.env.PATH}` };
    const shell = new Shell(t, folder, env);
    for (const place of ['crds', 'templates/tests']) await mkdir(join(folder, 'shop', place), { recursive: true });
    for (const [name, text] of Object.entries(CHART)) await shell.write(join('shop', name), text);
    const get = async (what: string) =>
      (await run('bash', ['-c', `${process.execPath} dist/cli/main.js get -n shop ${what}`], { env })).stdout;

    await shell.type('helm lint shop', /0 chart\(s\) failed/);
    await shell.type('helm install one shop -n shop --create-namespace --wait --timeout 60s', /STATUS: deployed/);
    t.regex(await get('deployment one'), /1\/1/);
    t.regex(await get("widget one -o jsonpath='{.spec.colour}'"), /^blue$/);
    t.regex(await get("configmap one-after -o jsonpath='{.data.revision}'"), /^1$/);
    await shell.type('helm list -n shop', /^one\s+shop\s+1\s.*deployed\s+shop-1\.0\.0/m);
    await shell.type('helm test one -n shop --timeout 60s', /Phase:\s+Succeeded/);

    await shell.type(
      'helm upgrade one shop -n shop --set replicas=2,colour=red --wait --timeout 60s',
      /has been upgraded[\s\S]*REVISION: 2/,
    );
    t.regex(await get('deployment one'), /2\/2/);
    t.regex(await get("widget one -o jsonpath='{.spec.colour}'"), /^red$/);
    await shell.type('helm get values one -n shop', /replicas: 2/);
    await shell.type('helm get hooks one -n shop', /pre-install,pre-upgrade/);
    await shell.type('helm get manifest one -n shop', /kind: Deployment/);
    await shell.type(
      'helm upgrade one shop -n shop --set colour=green 2>&1; test $? = 1',
      /Unsupported value: "green"/,
    );
    await shell.type('helm history one -n shop', /^1\s[\s\S]*^3\s.*failed/m);

    await shell.type('helm rollback one 1 -n shop --wait --timeout 60s', /Rollback was a success/);
    t.regex(await get('deployment one'), /1\/1/);
    t.regex(await get("widget one -o jsonpath='{.spec.colour}'"), /^blue$/);
    await shell.type('helm status one -n shop', /STATUS: deployed\nREVISION: 4/);
    await shell.type('helm upgrade --install two shop -n shop --dry-run=server', /kind: Deployment/);
    await shell.type('helm upgrade --install two shop -n shop --wait --timeout 60s', /STATUS: deployed/);
    await shell.type('helm list -n shop -q', /^one\ntwo$/m);

    await shell.type('helm uninstall one two -n shop --wait --timeout 60s', /release "one" uninstalled/);
    t.is(await get('deployments,services,widgets -o name'), '');
    t.regex(await get('crd widgets.shop.example -o name'), /widgets\.shop\.example/, 'CRDs stay');
    await run('bash', ['-c', `${process.execPath} dist/cli/main.js delete namespace shop`], { env });
    t.pass();
  });
}
