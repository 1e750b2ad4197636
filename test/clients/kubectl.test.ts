/**
 * One script of sixty commands, typed with each kubectl at hand, the oldest to the newest, against the same cluster. Each has
 * a namespace of its own, so that they run side by side.
 */
import { copyFile, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import test from 'ava';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { findKubectls, type Kubectl, pickKubectls } from '../helpers/machine.ts';
import { testWith } from '../helpers/requirements.ts';
import { run } from '../helpers/run.ts';
import { Shell } from '../helpers/shell.ts';

/** So many at a time. */
const KUBECTLS_AT_ONCE = 3;

const DEPLOYMENT = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: example.org/web:1
        ports: [{containerPort: 80}]
`;
const CONFIG_MAP = `apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue}
`;

type Step = (shell: Shell, minor: number, namespace: string) => Promise<unknown>;
/** A command that has to succeed and print this. */
const type =
  (line: string, pattern?: RegExp): Step =>
  shell =>
    shell.type(line, pattern);
/** A command that is repeated until it prints this. */
const wait =
  (line: string, pattern: RegExp): Step =>
  shell =>
    shell.wait(line, pattern);

/** The script. What a kubectl has dropped, or did not have yet, stands beside what it has instead. */
const SCRIPT: readonly Step[] = [
  type('kubectl version', /v1\.33\.\d+\+raftsman/),
  type('kubectl cluster-info', /control plane|master/),
  type('kubectl api-versions', /^apps\/v1$/m),
  type('kubectl api-resources --namespaced=true -o name', /^deployments\.apps$/m),
  type('kubectl get nodes -o wide', /node-1 +Ready[\s\S]*node-2 +Ready/),
  (shell, _, namespace) => shell.type(`kubectl create namespace ${namespace}`, /created/),
  (shell, _, namespace) =>
    shell.type(`kubectl config set-context --current --namespace=${namespace}`, /Context "[^"]+" modified/),
  type('kubectl explain deployment.spec.replicas', /replicas\s+<integer>/),
  // Objects from files and from flags.
  type('kubectl apply -f deployment.yaml', /deployment.apps\/web created/),
  type('kubectl apply -f deployment.yaml', /deployment.apps\/web unchanged/),
  type('kubectl apply -f config-map.yaml --dry-run=server', /configmap\/settings created \(server dry run\)/),
  type('kubectl diff -f config-map.yaml; test $? = 1', /^\+.*blue/m),
  type('kubectl apply -f config-map.yaml --server-side', /configmap\/settings serverside-applied/),
  type('kubectl create secret generic keys --from-literal=a=1', /secret\/keys created/),
  type("kubectl get secret keys -o jsonpath='{.data.a}' | base64 -d", /^1$/),
  type('kubectl create configmap more --from-literal=x=1 --from-file=deployment.yaml', /configmap\/more created/),
  type('kubectl create serviceaccount robot', /created/),
  type('kubectl create role reader --verb=get,list --resource=pods', /created/),
  (shell, _, namespace) =>
    shell.type(
      `kubectl create rolebinding reads --role=reader --serviceaccount=${namespace}:robot`,
      /rolebinding\S* created/,
    ),
  (shell, _, namespace) =>
    shell.type(`kubectl auth can-i list pods --as=system:serviceaccount:${namespace}:robot`, /^yes$/m),
  (shell, _, namespace) =>
    shell.type(
      `kubectl auth can-i delete pods --as=system:serviceaccount:${namespace}:robot; test $? = 1`,
      /^no( |$)/m,
    ),
  (shell, minor) =>
    minor >= 24 ? shell.type('kubectl create token robot', /^eyJ/) : shell.type('kubectl get sa robot'),
  type('kubectl create quota counts --hard=configmaps=100', /created/),
  type('kubectl create job once --image=fake/exit-0:1', /job.batch\/once created/),
  // Up to 1.20 it is batch/v1beta1 that kubectl makes of it, which v1.33 has not.
  (shell, minor) =>
    minor > 20
      ? shell.type('kubectl create cronjob nightly --image=example.org/web:1 --schedule="0 3 * * *"', /nightly created/)
      : shell.type('kubectl get cronjobs', /No resources found/),
  // Looking at things.
  type('kubectl rollout status deployment/web --timeout=60s', /successfully rolled out/),
  type('kubectl get deployment web', /^web +2\/2 +2 +2 /m),
  type('kubectl get deploy,rs,pods -l app=web', /deployment.apps\/web[\s\S]*replicaset.apps\/web-[\s\S]*pod\/web-/),
  type('kubectl get pods -o custom-columns=NAME:.metadata.name,NODE:.spec.nodeName --no-headers', /^web-\S+ +node-/m),
  type('kubectl get pods --sort-by=.metadata.name -o name', /^pod\/web-/m),
  type("kubectl get deploy web -o go-template='{{.spec.replicas}}'", /^2$/),
  type('kubectl get pods --field-selector=status.phase=Running -o name', /^pod\/web-/m),
  type('kubectl get configmaps --chunk-size=1 -o name', /configmap\/more\nconfigmap\/settings/),
  type('kubectl describe deployment web', /Replicas: +2 desired[\s\S]*ScalingReplicaSet/),
  type('kubectl describe pods -l app=web', /Image: +example.org\/web:1[\s\S]*Scheduled/),
  wait('kubectl get events', /ScalingReplicaSet/),
  type('kubectl get --raw /readyz', /^ok$/),
  type('kubectl get deployment web -o yaml', /kind: Deployment[\s\S]*readyReplicas: 2/),
  type('kubectl wait --for=condition=complete job/once --timeout=60s', /condition met/),
  type('kubectl wait --for=condition=available deployment/web --timeout=60s', /condition met/),
  // Changing things.
  type('kubectl label configmap settings tier=one', /labeled/),
  type('kubectl annotate configmap settings note=hello', /annotated?/),
  type(`kubectl patch configmap settings --type=merge -p '{"data":{"colour":"red"}}'`, /patched/),
  type(`kubectl patch configmap settings --type=json -p '[{"op":"add","path":"/data/size","value":"big"}]'`, /patched/),
  type(
    `kubectl patch deployment web -p '{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"A","value":"1"}]}]}}}}'`,
    /patched/,
  ),
  type('KUBE_EDITOR="sed -i s/big/small/" kubectl edit configmap settings', /edited/),
  type(
    "kubectl get configmap settings -o jsonpath='{.data.colour} {.data.size} {.metadata.labels.tier}'",
    /^red small one$/,
  ),
  type('kubectl get configmap settings -o json | sed s/red/green/ | kubectl replace -f -', /replaced/),
  type('kubectl set image deployment/web web=example.org/web:2', /image updated/),
  type('kubectl rollout status deployment/web --timeout=60s', /successfully rolled out/),
  type('kubectl rollout history deployment/web', /^3 /m),
  type('kubectl rollout undo deployment/web', /rolled back/),
  type('kubectl scale deployment/web --replicas=3', /scaled/),
  wait("kubectl get deployment web -o jsonpath='{.status.readyReplicas}'", /^3$/),
  type(
    'kubectl autoscale deployment web --min=1 --max=4 --cpu-percent=80 2>/dev/null || kubectl autoscale deployment web --min=1 --max=4 --cpu=80%',
    /autoscaled/,
  ),
  type('kubectl expose deployment web --port=80', /exposed/),
  type("kubectl get service web -o jsonpath='{.spec.clusterIP}'", /^10\./),
  wait(
    'kubectl get endpoints web -o name; kubectl get endpointslices -l kubernetes.io/service-name=web -o name',
    /web-/,
  ),
  // Pods at work.
  type('kubectl run one --image=example.org/web:1 --restart=Never', /one created/),
  type('kubectl wait --for=condition=ready pod/one --timeout=60s', /condition met/),
  type('kubectl exec one -- true'),
  type('kubectl logs one'),
  type('kubectl cp deployment.yaml one:/tmp/x 2>&1; kubectl get pod one -o wide', /one +1\/1 +Running/),
  type('kubectl get pods --watch --output-watch-events --request-timeout=2s 2>&1 | sed -n 1,2p', /EVENT[\s\S]*ADDED/),
  // And away.
  type('kubectl delete pod one --now', /pod "one" deleted/),
  type('kubectl delete hpa,service web', /deleted[\s\S]*deleted/),
  type('kubectl delete -f deployment.yaml --wait=true', /deployment.apps "web" deleted/),
  wait('kubectl get pods -l app=web -o name | wc -l', /^0$/m),
  type('kubectl delete configmap --all', /"settings" deleted/),
  (shell, _, namespace) => shell.type(`kubectl delete namespace ${namespace} --timeout=60s`, /deleted/),
];

let starting: Promise<TestCluster> | undefined;
test.after.always('stop the cluster', async () => {
  await (await starting)?.remove();
});
function sharedCluster(): Promise<TestCluster> {
  starting ??= newCluster({ nodes: 2 }).then(async cluster => {
    await cluster.start();
    return cluster;
  });
  return starting;
}

/** `npm test` types it with the oldest, a middle one and the newest. */
const kubectls = process.env.RAFTSMAN_EVERY_KUBECTL === 'yes' ? findKubectls() : pickKubectls();
if (kubectls.length === 0) testWith(['kubectl'])('a script with kubectl', t => t.pass());

const waiting: (() => void)[] = [];
let running = 0;
/** Waits for its turn. */
async function takeTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= KUBECTLS_AT_ONCE) await new Promise<void>(resolve => waiting.push(resolve));
  running++;
  try {
    return await work();
  } finally {
    running--;
    waiting.shift()?.();
  }
}

for (const kubectl of kubectls) {
  test(`a script of ${SCRIPT.length} commands with kubectl ${kubectl.version}`, async t => {
    t.timeout(600_000);
    const cluster = await sharedCluster();
    await takeTurn(async () => {
      await inFolder(cluster, kubectl, async (folder, env) => {
        const shell = new Shell(t, folder, env);
        await shell.write('deployment.yaml', DEPLOYMENT);
        await shell.write('config-map.yaml', CONFIG_MAP);
        const minor = Number(kubectl.version.split('.')[1]);
        for (const step of SCRIPT) await step(shell, minor, `script-${minor}`);
      });
    });
    t.pass();
  });
}

async function inFolder(
  cluster: TestCluster,
  kubectl: Kubectl,
  body: (folder: string, env: NodeJS.ProcessEnv) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-script-'));
  const kubeconfig = join(folder, 'kubeconfig');
  try {
    await symlink(kubectl.path, join(folder, 'kubectl'));
    await copyFile(cluster.kubeconfig, kubeconfig);
    await body(folder, {
      ...cluster.env,
      KUBECONFIG: kubeconfig,
      HOME: folder,
      PATH: `${folder}${delimiter}${process.env.PATH}`,
    });
  } finally {
    const minor = kubectl.version.split('.')[1];
    await run(kubectl.path, ['delete', 'namespace', `script-${minor}`, '--ignore-not-found'], { env: cluster.env });
    await rm(folder, { recursive: true, force: true });
  }
}
