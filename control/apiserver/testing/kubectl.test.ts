/** A stock kubectl against the server, over TLS; skipped where there is none. */
import { execFile, execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { createMemoryStore } from '../../../store/index.ts';
import { createAuthority, issueCertificate } from '../../pki/authority.ts';
import { bootstrap } from '../bootstrap.ts';
import { systemClock } from '../clock.ts';
import { createApiServer } from '../server.ts';
import { ADMIN, seededRandom, silentLogger, VERSION } from './harness.ts';

const isThere = (() => {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

const MANIFEST = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "nginx:1"}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
`;

(isThere ? test : test.skip)(
  'a stock kubectl creates, reads, applies, patches, watches, explains and deletes',
  async t => {
    t.timeout(60_000);
    const nowMs = systemClock.now();
    const authority = await createAuthority('test', { nowMs });
    const issue = (commonName: string, usage: 'client' | 'server', organizations: readonly string[]) =>
      issueCertificate(
        authority,
        { commonName, organizations, hosts: ['127.0.0.1'], usages: [usage] },
        { nowMs, validDays: 1 },
      );
    const own = await issue('apiserver', 'server', []);
    const admin = await issue('root', 'client', ['system:masters']);
    const store = createMemoryStore();
    const server = createApiServer({
      store,
      tls: { key: own.key, cert: own.certificate, ca: authority.certificate },
      listen: { host: '127.0.0.1', port: 0 },
      clock: systemClock,
      random: seededRandom(5),
      newUid: randomUUID,
      logger: silentLogger,
      serviceCIDR: '10.96.0.0/16',
      nodePortRange: '30000-32767',
      version: VERSION,
    });
    await server.listen();
    const folder = await mkdtemp(join(tmpdir(), 'raftsman-kubectl-'));
    t.teardown(async () => {
      await server.close();
      await store.close();
      await rm(folder, { recursive: true, force: true });
    });
    await bootstrap({ server, identity: ADMIN, serviceCIDR: '10.96.0.0/16', securePort: server.address.port });
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      clusters: [
        {
          name: 'c',
          cluster: {
            server: `https://127.0.0.1:${server.address.port}`,
            'certificate-authority-data': base64(authority.certificate),
          },
        },
      ],
      users: [
        {
          name: 'u',
          user: { 'client-certificate-data': base64(admin.certificate), 'client-key-data': base64(admin.key) },
        },
      ],
    };
    await writeFile(join(folder, 'config'), JSON.stringify(config));
    const manifest = join(folder, 'web.yaml');
    await writeFile(manifest, MANIFEST);
    const env = { PATH: process.env.PATH, HOME: folder, KUBECONFIG: join(folder, 'config') };
    const kubectl = (...words: string[]) =>
      new Promise<string>((resolve, reject) => {
        execFile('kubectl', words, { env }, (error, stdout, stderr) => {
          if (error) reject(new Error(`kubectl ${words.join(' ')}: ${stderr}`));
          else resolve(stdout);
        });
      });

    t.is(await kubectl('create', 'configmap', 'a', '--from-literal=x=1'), 'configmap/a created\n');
    t.is(await kubectl('label', 'configmap', 'a', 'l=1'), 'configmap/a labeled\n');
    t.is(await kubectl('get', 'configmap', '-l', 'l', '-o', 'jsonpath={.items[*].data}'), '{"x":"1"}');
    t.is(await kubectl('apply', '-f', manifest), 'deployment.apps/web created\nservice/web created\n');
    await writeFile(manifest, MANIFEST.replace('replicas: 2', 'replicas: 4'));
    t.is(await kubectl('apply', '-f', manifest), 'deployment.apps/web configured\nservice/web unchanged\n');
    t.regex(await kubectl('get', 'deployment'), /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +0\/4 /);
    t.is(await kubectl('scale', 'deployment', 'web', '--replicas=1'), 'deployment.apps/web scaled\n');
    t.is(
      await kubectl('patch', 'configmap', 'a', '--type=json', '-p', '[{"op":"add","path":"/data/y","value":"2"}]'),
      'configmap/a patched\n',
    );
    t.is(
      await kubectl('wait', 'configmap/a', '--for=jsonpath={.data.y}=2', '--timeout=10s'),
      'configmap/a condition met\n',
    );
    // From client-side to server-side apply, with conflicts told and taken over, and on to edit-like replaces.
    await t.throwsAsync(kubectl('apply', '--server-side', '-f', manifest), {
      message:
        /Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps\/v1: .spec.replicas/,
    });
    const taken = await kubectl('apply', '--server-side', '--force-conflicts', '-f', manifest);
    t.is(taken, 'deployment.apps/web serverside-applied\nservice/web serverside-applied\n');
    const owners = '{range .metadata.managedFields[*]}{.manager} {.operation}{"\\n"}{end}';
    t.is(
      await kubectl('get', 'deployment', 'web', '--show-managed-fields', '-o', `jsonpath=${owners}`),
      'kubectl Apply\nkubectl-last-applied Apply\n',
    );
    const text = await kubectl('get', 'deployment', 'web', '-o', 'yaml');
    t.false(text.includes('managedFields'));
    await writeFile(join(folder, 'edited.yaml'), text.replace('replicas: 4', 'replicas: 5'));
    t.is(await kubectl('replace', '-f', join(folder, 'edited.yaml')), 'deployment.apps/web replaced\n');
    // A replace notes itself as last applied, and that kubectl may take back; what somebody else wrote it may not.
    t.is(await kubectl('apply', '--server-side', '-f', manifest), taken);
    await kubectl('patch', 'deployment', 'web', '--field-manager=other', '-p', '{"spec":{"replicas":6}}');
    await t.throwsAsync(kubectl('apply', '--server-side', '-f', manifest), {
      message: /conflict with "other" using apps\/v1: .spec.replicas/,
    });
    t.regex(await kubectl('explain', 'deployment.spec.replicas'), /FIELD: replicas <integer>/);
    t.regex(await kubectl('api-resources'), /\ndeployments +deploy +apps\/v1 +true +Deployment\n/);
    await t.throwsAsync(kubectl('get', 'configmap', 'none'), {
      message: /Error from server \(NotFound\): configmaps "none" not found/,
    });
    t.is(await kubectl('auth', 'can-i', 'delete', 'nodes', '-q').catch(String), '');
    t.is(await kubectl('delete', '-f', manifest), 'deployment.apps "web" deleted\nservice "web" deleted\n');
    t.is(await kubectl('get', 'deployments,services', '-l', 'app=web', '-o', 'name'), '');
  },
);
