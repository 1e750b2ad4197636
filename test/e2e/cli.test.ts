/**
 * The cluster CLI beside kubectl, on one cluster: the same command gives the same output and the same exit code. Ages, and the
 * names that the two need to differ in, are folded; so is the program's own name.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { makeBusyboxImage } from '../helpers/images.ts';
import { findKubectls } from '../helpers/machine.ts';
import { testWith } from '../helpers/requirements.ts';
import { type RunResult, run, until } from '../helpers/run.ts';

/** The kubectl whose output ours equals: later ones word some things anew. */
const VERSION = '1.33';

/** Far more than it takes, for a busy machine. */
const TIMEOUT_MS = 180_000;

interface Case {
  readonly args: string;
  readonly input?: string;
  /** kubectl walks a Go map here, in another order each time. */
  readonly isUnordered?: true;
  /** kubectl ends with 1 for what was typed wrong, raftsman with 2. */
  readonly isUsageMistake?: boolean;
}

const MANIFEST = `
apiVersion: v1
kind: ConfigMap
metadata: {name: conf, labels: {app: web}}
data: {a: b, file: "one\\ntwo\\n", long: "${'words that go on and on '.repeat(6).trim()}"}
---
apiVersion: v1
kind: Secret
metadata: {name: sec}
stringData: {p: hunter2}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, type: NodePort, ports: [{port: 80, name: http}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx:1.7.9
        ports: [{containerPort: 80}]
        resources: {requests: {cpu: 100m, memory: 16Mi}, limits: {cpu: 500m, memory: 64Mi}}
        env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}, {name: PW, valueFrom: {secretKeyRef: {name: sec, key: p}}}]
        envFrom: [{configMapRef: {name: conf}}]
        volumeMounts: [{name: c, mountPath: /c}]
      volumes: [{name: c, configMap: {name: conf}}, {name: e, emptyDir: {}}]
`;

/** `NAME` is another for each of the two. */
const cases: readonly Case[] = [
  { args: 'get pods -o name' },
  { args: 'get nodes -o wide' },
  { args: 'get pods -A --show-labels' },
  { args: 'get all' },
  { args: 'get deploy/web svc/web' },
  { args: 'get cm conf -o yaml' },
  { args: 'get deploy web -o json' },
  { args: 'get svc web -o jsonpath={.spec.ports[0].port}' },
  { args: 'get pods -l app=web --no-headers -o custom-columns=IMAGE:.spec.containers[*].image' },
  { args: 'get pods nope' },
  { args: 'get pods -n nope' },
  { args: 'get bogus' },
  { args: 'get' },
  { args: 'get pods -o bogus' },
  { args: 'get pods --field-selector=foo=bar' },
  { args: 'get pods --bogus', isUsageMistake: true },
  { args: 'describe deploy web' },
  { args: 'describe pods -l app=web' },
  { args: 'describe node node-1' },
  { args: 'describe svc web' },
  { args: 'describe endpoints web' },
  { args: 'describe cm conf', isUnordered: true },
  { args: 'describe secret sec', isUnordered: true },
  { args: 'describe ns default' },
  { args: 'describe pod nope' },
  { args: 'describe clusterrole view' },
  { args: 'auth can-i --list' },
  { args: 'config get-contexts' },
  { args: 'config view' },
  { args: 'config use-context nope' },
  { args: 'get deploy web --show-managed-fields -o yaml' },
  { args: 'rollout history deployment/web' },
  { args: 'set env deployment/web --list' },
  { args: 'set resources deployment/web' },
  { args: 'autoscale deployment web --min=3 --max=2' },
  { args: 'top nodes' },
  { args: 'create quota NAME --hard=pods=10 -o yaml --dry-run=client' },
  { args: 'create role NAME --verb=get,list --resource=pods,deployments.apps/scale -o yaml --dry-run=client' },
  { args: 'create ingress NAME --rule=a.b/x*=web:80,tls=cert -o yaml --dry-run=client' },
  { args: 'create cronjob NAME --image=busybox --schedule=@daily -o yaml --dry-run=client' },
  { args: 'create job NAME' },
  { args: 'api-versions' },
  { args: 'api-resources -o wide' },
  { args: 'create deployment NAME --image=nginx:1.7.9 --replicas=2' },
  { args: 'create deployment NAME --image=nginx:1.7.9' },
  { args: 'create deployment x --image=nginx --port=80 --dry-run=client -o yaml' },
  { args: 'run NAME --image=nginx:1.7.9 --labels=a=b' },
  { args: 'expose deployment NAME --port=80 --type=NodePort' },
  { args: 'scale deployment NAME --replicas=3' },
  { args: 'scale deployment nope --replicas=3' },
  { args: 'set image deployment/NAME nginx=nginx:1.8' },
  { args: 'set image deployment/NAME nope=nginx:1.8' },
  { args: 'rollout undo deployment/nope' },
  { args: 'label pod NAME x=y' },
  { args: 'label pod NAME x=z' },
  { args: 'taint nodes node-1 NAME=v:PreferNoSchedule' },
  { args: 'taint nodes node-1 NAME-' },
  { args: 'explain pods.spec.containers.ports' },
  { args: 'explain pod.spec.volumes.hostPath' },
  { args: 'explain event' },
  { args: 'explain deployment.spec.strategy --recursive' },
  { args: 'explain pod.spec.restartPolicy' },
  { args: 'explain pv.spec --output=plaintext-openapiv2' },
  { args: 'explain pod.spec.restartPolicy --output=plaintext-openapiv2' },
  { args: 'auth can-i create pods' },
  { args: 'auth whoami' },
  { args: 'events --for pod/nope' },
  { args: 'apply -f -', input: 'kind: ConfigMap\napiVersion: v1\nmetadata: {name: NAME}\ndata: {a: b}' },
  { args: 'apply -f -', input: 'kind: ConfigMap\napiVersion: v1\nmetadata: {name: NAME}\ndata: {a: c}' },
  { args: 'apply -f -', input: 'kind: ConfigMap\napiVersion: v1\nmetadata: {name: NAME}\ndata: {a: c}' },
  { args: 'replace -f -', input: 'kind: ConfigMap\napiVersion: v1\nmetadata: {name: nope}\ndata: {a: c}' },
  { args: 'apply -f -', input: 'kind: Pod\napiVersion: v1\nmetadata: {name: BAD_}\nspec: {containers: [{name: x}]}' },
  { args: 'apply -f -', input: 'kind: Foo\napiVersion: v9\nmetadata: {name: x}' },
  { args: 'create -f /nope.yaml' },
  { args: 'delete pod NAME --now' },
  { args: 'delete pod NAME' },
  { args: 'delete deployment,service NAME' },
  { args: 'delete' },
];

/** What may differ between two runs. */
function folded(text: string, name: string): string {
  return text
    .replaceAll('raftsman', 'kubectl')
    .replaceAll(name || 'NAME', 'NAME')
    .replaceAll(/\b(?:\d+[dhms])+\b/g, 'AGE')
    .replaceAll(/RenewTime:.*/g, 'RenewTime')
    .replaceAll(/\(x\d+ over/g, '(xN over')
    .replaceAll(/\w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000/g, 'TIME')
    .replaceAll(/ +/g, ' ');
}

interface Compared {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const compared = ({ code, stdout, stderr }: RunResult, name: string): Compared => ({
  code,
  stdout: folded(stdout, name),
  stderr: folded(stderr, name),
});

const sorted = (result: RunResult) => ({ ...result, stdout: result.stdout.split('\n').sort() });

let cluster: TestCluster | undefined;
test.after.always(() => cluster?.remove());

testWith(['kubectl 1.33'])('raftsman answers as kubectl does', async t => {
  t.timeout(TIMEOUT_MS);
  const kubectl = findKubectls().find(({ version }) => version === VERSION)?.path ?? '';
  cluster = await newCluster({ masters: 1, nodes: 1, runtime: 'fake' });
  await cluster.start();
  const own = cluster;
  t.is((await own.raftsman(['apply', '-f', '-'], { input: MANIFEST })).code, 0);
  const rollout = await own.raftsman(['rollout', 'status', 'deploy/web', '--timeout=30s']);
  t.is(rollout.code, 0, rollout.stderr);
  for (const { args, input, isUsageMistake, isUnordered } of cases) {
    const ask = async (name: string, isKubectl: boolean) => {
      const words = args.split(' ').map(word => word.replace('NAME', name));
      const options = { input: (input ?? '').replace('NAME', name) };
      return compared(
        await (isKubectl ? run(kubectl, words, { env: own.env, ...options }) : own.raftsman(words, options)),
        name,
      );
    };
    const [theirs, ours] = await Promise.all([ask('k-one', true), ask('r-one', false)]);
    if (isUsageMistake) {
      t.is(ours.code, 2, args);
      t.is(ours.stderr, theirs.stderr, args);
    } else if (isUnordered) t.deepEqual(sorted(ours), sorted(theirs), args);
    else t.deepEqual(ours, theirs, `${args} ${input ?? ''}`);
  }
});

testWith(['kubectl 1.33'])('the past can be read, and compared with the present', async t => {
  t.timeout(TIMEOUT_MS);
  const own = cluster;
  if (!own) return t.fail('the cluster of the test before is gone');
  const raftsman = async (...args: string[]) => (await own.raftsman(args)).stdout;
  await raftsman('create', 'configmap', 'past', '--from-literal=a=one');
  const first = await raftsman('get', 'cm', 'past', '-o', 'jsonpath={.metadata.resourceVersion}');
  await raftsman('patch', 'cm', 'past', '-p', '{"data":{"a":"two"}}');
  const value = (...more: string[]) => raftsman('get', 'cm', 'past', '-o', 'jsonpath={.data.a}', ...more);
  t.is(await value(), 'two');
  t.is(await value(`--as-of=${first}`), 'one');
  t.regex(await raftsman('diff', 'cm', 'past', `--from=${first}`), /^- {2}a: one\n\+ {2}a: two$/m);
  await raftsman('delete', 'cm', 'past');
  t.regex(await raftsman('history', 'cm', 'past'), /created +kubectl-create.*\n.* data\.a: one → two\n.* deleted\n$/);
  t.regex(await raftsman('get', 'cm', `--as-of=${first}`, '--no-headers'), /^past +1 /m);
  t.regex((await own.raftsman(['get', 'cm', 'past', '--as-of=1'])).stderr, /is no longer kept|not found at revision 1/);
});

testWith(['kubectl 1.33', 'docker', 'root', 'busybox'])('exec and logs are the same with real containers', async t => {
  t.timeout(TIMEOUT_MS);
  const kubectl = findKubectls().find(({ version }) => version === VERSION)?.path ?? '';
  const image = 'raftsman-test/cli:1';
  await makeBusyboxImage(image);
  t.teardown(() => run('docker', ['rmi', image]));
  const own = await newCluster({ masters: 1, nodes: 1, runtime: 'docker' });
  t.teardown(() => own.remove());
  await own.start();
  const script = "echo one; echo two; trap 'exit 0' TERM; while true; do sleep 0.2; done";
  const made = await own.raftsman(['run', 'box', `--image=${image}`, '--', 'sh', '-c', script]);
  t.is(made.code, 0, made.stderr);
  const waited = await own.raftsman(['wait', '--for=condition=Ready', 'pod/box', '--timeout=60s']);
  t.is(waited.code, 0, waited.stderr);
  const written = ['logs', 'box'];
  await until('the log', async () => (await own.raftsman(written)).stdout === 'one\ntwo\n');
  const both: readonly { readonly args: readonly string[]; readonly input?: string }[] = [
    { args: ['exec', 'box', '--', 'echo', 'hi'] },
    { args: ['exec', 'box', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7'] },
    { args: ['exec', '-i', 'box', '--', 'cat'], input: 'through and back\n'.repeat(5000) },
    { args: ['exec', '-it', 'box', '--', 'tty'] },
    { args: ['exec', 'box', '--', '/nope'] },
    { args: ['exec', 'box', '-c', 'nope', '--', 'true'] },
    { args: ['exec', 'box', 'true'] },
    { args: ['exec', 'nope', '--', 'true'] },
    { args: ['logs', 'box'] },
    { args: ['logs', 'box', '--tail=1', '--timestamps'] },
    { args: ['logs', 'box', '--limit-bytes=5'] },
    { args: ['logs', 'box', '--previous'] },
    { args: ['logs', 'box', '-c', 'nope'] },
    { args: ['logs', 'nope'] },
    { args: ['logs', '-l', 'run=box', '--prefix'] },
  ];
  for (const { args, input = '' } of both) {
    const [theirs, ours] = await Promise.all([
      run(kubectl, args, { env: own.env, input }),
      own.raftsman(args, { input }),
    ]);
    t.deepEqual(compared(ours, ''), compared(theirs, ''), args.join(' '));
  }

  // There and back again: bytes, names, and a folder within a folder.
  const here = await mkdtemp(join(tmpdir(), 'raftsman-cp-'));
  t.teardown(() => rm(here, { recursive: true, force: true }));
  const bytes = randomBytes(3_000_000);
  await mkdir(join(here, 'src/sub'), { recursive: true });
  await writeFile(join(here, 'src/sub/bytes'), bytes);
  const there = await own.raftsman(['cp', join(here, 'src'), 'box:/tmp']);
  t.is(there.code, 0, there.stderr);
  const back = await own.raftsman(['cp', 'box:/tmp/src', join(here, 'back')]);
  t.is(back.code, 0, back.stderr);
  t.true(bytes.equals(await readFile(join(here, 'back/sub/bytes'))));
  t.is((await own.raftsman(['cp', 'box:/nope', join(here, 'nope')])).code, 1);
});
