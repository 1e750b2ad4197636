/**
 * The founding documents, typed as they stand: the getting-started article (nginx, labels, exec, the Deployment of 2016,
 * a Service) and the bootcamp's kubectl sections, with the oldest and the newest kubectl at hand and one between, on real
 * containers. Where a kubectl itself has dropped a flag since, its present form stands beside the old one.
 */
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { makeNginxImage } from '../helpers/images.ts';
import { type Kubectl, pickKubectls } from '../helpers/machine.ts';
import { testWith } from '../helpers/requirements.ts';
import { run } from '../helpers/run.ts';
import { Shell } from '../helpers/shell.ts';

const BOOTCAMP_V1 = 'gcr.io/google-samples/kubernetes-bootcamp:v1';
const BOOTCAMP_V2 = 'jocatalin/kubernetes-bootcamp:v2';
const PROXY_TIMEOUT_MS = 20_000;

const NGINX_POD = `---
apiVersion: v1
kind: Pod
metadata:
  name: nginx
  labels:
    app: nginx
spec:
  containers:
  - name: nginx
    image: nginx:1.7.9
    ports:
    - containerPort: 80
`;
const NGINX_DEPLOYMENT = `---
apiVersion: extensions/v1beta1
kind: Deployment
metadata:
 name: nginx-deployment-dev
spec:
 replicas: 1
 template:
   metadata:
    labels:
     app: nginx-deployment-dev
   spec:
     containers:
     - name: nginx-deployment-dev
       image: nginx:1.7.9
       ports:
       - containerPort: 80
`;
const NGINX_SERVICE = `---
apiVersion: v1
kind: Service
metadata:
 name: nginx-service
spec:
 ports:
 - port: 8000
   targetPort: 80
   protocol: TCP
 selector:
   app: nginx-deployment-dev
`;

let cluster: TestCluster | undefined;
test.after.always('stop the cluster', async () => {
  await cluster?.remove();
});
async function sharedCluster(): Promise<TestCluster> {
  if (cluster) return cluster;
  await Promise.all([
    makeNginxImage('nginx:1.7.9', { page: 'nginx 1.7.9\n' }),
    makeNginxImage('nginx:1.8', { page: 'nginx 1.8\n' }),
    makeNginxImage(BOOTCAMP_V1, { page: 'Hello Kubernetes bootcamp! | v=1\n', port: 8080 }),
    makeNginxImage(BOOTCAMP_V2, { page: 'Hello Kubernetes bootcamp! | v=2\n', port: 8080 }),
  ]);
  const started = await newCluster({ runtime: 'docker' });
  cluster = started;
  await started.start();
  return started;
}

async function withShell(t: ExecutionContext, kubectl: Kubectl, body: (shell: Shell) => Promise<void>): Promise<void> {
  const running = await sharedCluster();
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-walk-'));
  try {
    await symlink(kubectl.path, join(folder, 'kubectl'));
    const env = {
      ...running.env,
      HOME: folder,
      PATH: `${folder}${delimiter}${process.env.PATH}`,
      KUBECTL: kubectl.path,
    };
    await body(new Shell(t, folder, env));
  } finally {
    // What a failure left behind must not fail the next one.
    await run(kubectl.path, ['delete', 'deployments,replicasets,pods', '--all', '--grace-period=1'], {
      env: running.env,
    });
    await run(kubectl.path, ['delete', 'services', '-l', '!component'], { env: running.env });
    await rm(folder, { recursive: true, force: true });
  }
}

const kubectls = pickKubectls();
const REQUIREMENTS = ['docker', 'root', 'kubectl', 'iproute2', 'busybox', 'nginx', 'curl'] as const;
if (kubectls.length === 0) testWith(REQUIREMENTS)('the founding documents with kubectl', t => t.pass());

for (const kubectl of kubectls) {
  const minor = Number(kubectl.version.split('.')[1]);
  /** Since 1.31 `exec POD COMMAND` without `--` is refused by kubectl itself. */
  const dashes = minor >= 31 ? '-- ' : '';

  testWith(REQUIREMENTS)(`the getting-started article with kubectl ${kubectl.version}`, async t => {
    await withShell(t, kubectl, async shell => {
      await shell.type('kubectl get nodes', /node-1 +Ready .*\n.*node-2 +Ready/);
      await shell.type('kubectl describe nodes', /Name: +node-1[\s\S]*Allocatable:[\s\S]*Name: +node-2/);
      await shell.type('kubectl api-versions', /^apps\/v1\n[\s\S]*^v1$/m);

      await shell.write('nginx.yaml', NGINX_POD);
      await shell.type('kubectl create -f nginx.yaml', /pod\/nginx created/);
      await shell.wait('kubectl get pods', /^nginx +1\/1 +Running +0 /m);
      await shell.type(
        'kubectl describe pod nginx',
        /Node: +node-[12]\/[\d.]+[\s\S]*Image: +nginx:1\.7\.9[\s\S]*Started container nginx/,
      );
      await shell.type('kubectl get pods -l app=nginx', /^nginx /m);
      await shell.type('kubectl describe pods -l app=nginx', /^Name: +nginx$/m);
      await shell.type(`kubectl exec nginx ${dashes}date`, /\d\d:\d\d:\d\d/);
      await shell.type(`kubectl exec nginx -c nginx ${dashes}date`, /\d\d:\d\d:\d\d/);
      await shell.type(
        `printf 'echo in-$((40+2))\\nexit\\n' | script -qec 'kubectl exec nginx -it -- /bin/bash' /dev/null`,
        /in-42/,
      );
      await shell.type('kubectl exec nginx -- sh -c "exit 3"; test $? = 3');
      await shell.type('echo through | kubectl exec -i nginx -- cat', /^through$/m);
      await shell.type('kubectl delete -f nginx.yaml', /pod "nginx" deleted/);

      await shell.write('nginx-deployment-dev.yaml', NGINX_DEPLOYMENT);
      await shell.type(
        'kubectl create -f nginx-deployment-dev.yaml',
        /deployment\S* ?"?\/?nginx-deployment-dev"? created/,
      );
      await shell.wait('kubectl get deployments', /^nginx-deployment-dev +1\/1 +1 +1 /m);
      await shell.type(
        'kubectl describe deployments -l app=nginx-deployment-dev',
        /StrategyType: +RollingUpdate[\s\S]*Scaled up replica set nginx-deployment-dev-\w+/,
      );
      await shell.type('kubectl get pods', /^nginx-deployment-dev-\w+-\w+ +1\/1 +Running/m);
      await shell.type('kubectl describe pod -l app=nginx-deployment-dev', /Image: +nginx:1\.7\.9/);
      await shell.type(
        "sed -i 's/nginx:1.7.9/nginx:1.8/' nginx-deployment-dev.yaml; kubectl apply -f nginx-deployment-dev.yaml",
        /nginx-deployment-dev configured/,
      );
      await shell.type(
        'kubectl rollout status deployment/nginx-deployment-dev --timeout=60s',
        /successfully rolled out/,
      );
      await shell.wait(
        "kubectl get pods -l app=nginx-deployment-dev -o jsonpath='{.items[*].spec.containers[0].image}'",
        /^nginx:1\.8$/,
      );

      await shell.type('kubectl run sample --image=nginx:1.8', /sample created/);
      await shell.wait('kubectl describe pods -l run=sample', /Status: +Running[\s\S]*IP: +10\.\d+\./);
      await shell.type('kubectl delete pod sample', /deleted/);
      await shell.type('kubectl run sample --image=nginx:1.8 --labels=app=nginx,release=1', /sample created/);
      await shell.type('kubectl describe pods -l app=nginx', /release=1/);
      await shell.type('kubectl delete pod -l app=nginx', /deleted/);

      await shell.type('kubectl delete deployment nginx-deployment-dev', /deleted/);
      await shell.write('nginx-service.yaml', NGINX_SERVICE);
      await shell.type('kubectl create -f nginx-service.yaml', /service\/nginx-service created/);
      await shell.type(
        'kubectl get service',
        /^kubernetes +ClusterIP[\s\S]*^nginx-service +ClusterIP +10\.\S+ +<none> +8000\/TCP/m,
      );
      await shell.type('kubectl create -f nginx-deployment-dev.yaml', /created/);
      await shell.wait(
        'kubectl describe service nginx-service',
        /Selector: +app=nginx-deployment-dev[\s\S]*Endpoints: +10\.\d+\.\d+\.\d+:80/,
      );
      await shell.wait(
        "curl -s -m 5 $(kubectl get service nginx-service -o jsonpath='{.spec.clusterIP}'):8000",
        /nginx 1\.8/,
      );
      await shell.type('kubectl delete -f nginx-deployment-dev.yaml -f nginx-service.yaml', /deleted/);
      await shell.wait('kubectl get pods -o name | wc -l', /^0$/m);
    });
    t.pass();
  });

  testWith(REQUIREMENTS)(`the bootcamp with kubectl ${kubectl.version}`, async t => {
    await withShell(t, kubectl, async shell => {
      const podName = `export POD_NAME=$(kubectl get pods -o go-template --template '{{range .items}}{{.metadata.name}}{{"\\n"}}{{end}}')`;
      const nodePort = `export NODE_PORT=$(kubectl get services/kubernetes-bootcamp -o go-template='{{(index .spec.ports 0).nodePort}}')`;
      const nodeAddress = `$(kubectl get node node-1 -o jsonpath='{.status.addresses[?(@.type=="InternalIP")].address}')`;
      await shell.type('kubectl version', /v1\.33\.\d+\+raftsman/);
      await shell.type('kubectl cluster-info', /is running at/);
      await shell.type('kubectl get nodes', /node-1/);
      await shell.type('kubectl get nodes --help', /Examples/);
      await shell.type(
        `kubectl create deployment kubernetes-bootcamp --image=${BOOTCAMP_V1}`,
        /deployment.apps\/kubernetes-bootcamp created/,
      );
      await shell.wait('kubectl get deployments', /^kubernetes-bootcamp +1\/1 +1 +1 /m);
      await shell.type(
        `kubectl proxy --port=0 >proxy.log & trap 'kill %1' EXIT; for i in $(seq ${PROXY_TIMEOUT_MS / 100}); do grep -q Starting proxy.log && break; sleep 0.1; done
         base=http://$(sed 's/.* //' proxy.log); ${podName}
         curl -sf $base/version && curl -sf $base/api/v1/namespaces/default/pods/$POD_NAME && curl -sf $base/api/v1/namespaces/default/pods/$POD_NAME:8080/proxy/`,
        /\+raftsman[\s\S]*"kind": ?"Pod"[\s\S]*Hello Kubernetes bootcamp/,
      );
      await shell.type(`${podName}; kubectl logs $POD_NAME`, /GET \//);
      await shell.type('kubectl get pods', /^kubernetes-bootcamp-/m);
      await shell.type('kubectl describe pods', /Controlled By: +ReplicaSet\/kubernetes-bootcamp-/);

      await shell.type('kubectl expose deployment/kubernetes-bootcamp --type="NodePort" --port 8080', /exposed/);
      await shell.type('kubectl get services', /^kubernetes-bootcamp +NodePort .* 8080:3\d{4}\/TCP/m);
      await shell.wait(
        'kubectl describe services/kubernetes-bootcamp',
        /Type: +NodePort[\s\S]*Endpoints: +10\.\d+\.\d+\.\d+:8080/,
      );
      await shell.wait(`${nodePort}; curl -s -m 5 ${nodeAddress}:$NODE_PORT`, /Hello Kubernetes bootcamp! \| v=1/);
      await shell.type('kubectl describe deployment', /deployment.kubernetes.io\/revision: 1/);
      await shell.type('kubectl get pods -l app=kubernetes-bootcamp', /Running/);
      await shell.type('kubectl get services -l app=kubernetes-bootcamp', /NodePort/);
      await shell.type(`${podName}; kubectl label pods $POD_NAME version=v1`, /labeled/);
      await shell.type('kubectl get pods -l version=v1', /^kubernetes-bootcamp-/m);

      await shell.type('kubectl get rs', /^kubernetes-bootcamp-\w+ +1 +1 +1 /m);
      await shell.type('kubectl scale deployments/kubernetes-bootcamp --replicas=4', /scaled/);
      await shell.wait('kubectl get deployments', /^kubernetes-bootcamp +4\/4 /m);
      await shell.type('kubectl get pods -o wide', /node-1[\s\S]*node-2|node-2[\s\S]*node-1/);
      await shell.type('kubectl scale deployments/kubernetes-bootcamp --replicas=2', /scaled/);
      await shell.wait('kubectl get pods -l app=kubernetes-bootcamp -o name | wc -l', /^2$/m);

      await shell.type(
        `kubectl set image deployments/kubernetes-bootcamp kubernetes-bootcamp=${BOOTCAMP_V2}`,
        /image updated/,
      );
      await shell.type(
        'kubectl rollout status deployments/kubernetes-bootcamp --timeout=60s',
        /successfully rolled out/,
      );
      await shell.wait(
        `${nodePort}; for i in 1 2 3 4; do curl -s -m 5 ${nodeAddress}:$NODE_PORT; done`,
        /^(.*v=2\n){4}$/,
      );
      await shell.type('kubectl describe pods', /Image: +jocatalin\/kubernetes-bootcamp:v2/);
      await shell.type('kubectl rollout undo deployments/kubernetes-bootcamp', /rolled back/);
      await shell.type(
        'kubectl rollout status deployments/kubernetes-bootcamp --timeout=60s',
        /successfully rolled out/,
      );
      await shell.wait(`${nodePort}; curl -s -m 5 ${nodeAddress}:$NODE_PORT`, /v=1/);

      await shell.type('kubectl delete service -l app=kubernetes-bootcamp', /service "kubernetes-bootcamp" deleted/);
      await shell.type('kubectl delete deployment kubernetes-bootcamp', /deleted/);
      await shell.wait('kubectl get pods -o name | wc -l', /^0$/m);
    });
    t.pass();
  });
}
