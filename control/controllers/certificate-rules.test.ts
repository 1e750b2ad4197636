/** Which certificate requests are signed, which are approved by themselves, and when they go. */
import test from 'ava';
import { readCertificateRequest } from '../api/certificates/request.ts';
import * as kinds from '../api/generated/kinds.ts';
import type { CertificateSigningRequest } from '../api/generated/types.ts';
import type { ApiResponse } from '../client/client.ts';
import { until } from '../client/testing/until.ts';
import { createAuthority } from '../pki/authority.ts';
import { signAsRequested } from '../pki/signing.ts';
import { makeRequest } from '../pki/testing/requests.ts';
import {
  approvalsOf,
  CLIENT_SIGNER,
  endOfRequest,
  NODE_CLIENT_SIGNER,
  NODE_SERVING_SIGNER,
  refuseToSign,
} from './certificate-rules.ts';
import { certificateApprovingController } from './certificates.ts';
import { newBench } from './testing/bench.ts';

const NODE = { CN: 'system:node:n1', O: ['system:nodes'] } as const;
const CLIENT = ['digital signature', 'client auth'];
const SERVING = ['digital signature', 'server auth'];

test('signers sign what is theirs, and say what is wrong with the rest', async t => {
  const table: readonly (readonly [
    string,
    Parameters<typeof makeRequest>[0],
    readonly string[],
    string | undefined,
  ])[] = [
    [CLIENT_SIGNER, { CN: 'jane', O: ['dev'] }, ['client auth'], undefined],
    [CLIENT_SIGNER, { CN: 'jane' }, ['client auth', 'server auth'], 'usages did not match'],
    [CLIENT_SIGNER, { CN: 'jane' }, ['client auth', 'cert sign'], 'usages did not match'],
    [CLIENT_SIGNER, { CN: 'jane' }, ['digital signature'], 'usages did not match'],
    [NODE_CLIENT_SIGNER, NODE, [...CLIENT, 'key encipherment'], undefined],
    [NODE_CLIENT_SIGNER, NODE, CLIENT, undefined],
    [NODE_CLIENT_SIGNER, NODE, [...CLIENT, 'server auth'], 'usages did not match'],
    [NODE_CLIENT_SIGNER, { ...NODE, O: ['system:nodes', 'system:masters'] }, CLIENT, 'subject organization is not'],
    [NODE_CLIENT_SIGNER, { ...NODE, CN: 'n1' }, CLIENT, 'subject common name does not begin with'],
    [NODE_CLIENT_SIGNER, { ...NODE, dns: ['n1'] }, CLIENT, 'DNS subjectAltNames are not allowed'],
    [NODE_CLIENT_SIGNER, { ...NODE, ip: ['10.0.0.1'] }, CLIENT, 'IP subjectAltNames are not allowed'],
    [NODE_SERVING_SIGNER, { ...NODE, dns: ['n1'], ip: ['10.0.0.1'] }, SERVING, undefined],
    [NODE_SERVING_SIGNER, NODE, SERVING, 'at least one DNS or IP subjectAltName is required'],
    [NODE_SERVING_SIGNER, { ...NODE, dns: ['n1'], email: ['a@b.c'] }, SERVING, 'Email subjectAltNames'],
    [NODE_SERVING_SIGNER, { ...NODE, dns: ['n1'] }, [...SERVING, 'client auth'], 'usages did not match'],
    ['example.com/other', NODE, CLIENT, 'unrecognized signerName'],
  ];
  for (const [signer, names, usages, told] of table) {
    const refusal = refuseToSign(signer, readCertificateRequest(await makeRequest(names)), usages);
    if (told === undefined) t.is(refusal, undefined, `${signer} ${JSON.stringify(names)}`);
    else t.true(refusal?.startsWith(told), `${signer} ${JSON.stringify(names)}: ${refusal}`);
  }
});

test('a request is read to the last name, with every kind of key', async t => {
  const names = { CN: 'a,b=c', O: ['x', 'y'], dns: ['one.example', 'two'], ip: ['10.0.0.1', '2001:db8::1'] };
  for (const key of ['ec', 'rsa'] as const) {
    const read = readCertificateRequest(await makeRequest({ ...names, key }));
    t.deepEqual(
      [read.commonName, read.organizations, read.dnsNames, read.ipAddresses],
      ['a,b=c', ['x', 'y'], ['one.example', 'two'], ['10.0.0.1', '2001:db8:0:0:0:0:0:1']],
    );
  }
});

test('what is no request is refused, wherever it is cut or changed', async t => {
  const pem = await makeRequest({ ...NODE, dns: ['n1'] });
  const der = Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  const asPem = (bytes: Uint8Array) =>
    `-----BEGIN CERTIFICATE REQUEST-----\n${Buffer.from(bytes).toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  for (let length = 0; length < der.length; length++) {
    t.throws(
      () => readCertificateRequest(asPem(der.subarray(0, length))),
      { code: 'DER_MALFORMED' },
      `cut at ${length}`,
    );
  }
  for (let position = 0; position < der.length; position++) {
    const changed = Uint8Array.from(der);
    changed[position] = (changed[position] ?? 0) ^ 0xff;
    try {
      readCertificateRequest(asPem(changed));
    } catch (error) {
      t.is((error as { code?: string }).code, 'DER_MALFORMED', `changed at ${position}: ${String(error)}`);
    }
  }
  t.throws(() => readCertificateRequest(pem.replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE')), {
    message: 'PEM block type must be CERTIFICATE REQUEST',
  });
});

test('a node’s own certificate needs less to be approved than another’s', async t => {
  const parsed = readCertificateRequest(await makeRequest(NODE));
  const request = (username: string, signerName = NODE_CLIENT_SIGNER): CertificateSigningRequest => ({
    spec: { request: '', signerName, usages: [...CLIENT], username },
  });
  const permissions = (wanted: CertificateSigningRequest) => approvalsOf(wanted, parsed).map(one => one.permission);
  t.deepEqual(permissions(request('system:node:n1')), ['selfnodeclient', 'nodeclient']);
  t.deepEqual(permissions(request('system:node:n2')), ['nodeclient']);
  t.deepEqual(permissions(request('system:node:n1', CLIENT_SIGNER)), []);
  const jane = readCertificateRequest(await makeRequest({ CN: 'jane' }));
  t.deepEqual(approvalsOf(request('jane'), jane), []);
});

test('a request goes an hour after its end, or after a day without a decision', async t => {
  const at = (hours: number) => new Date(hours * 3_600_000).toISOString();
  const request = (types: readonly string[], certificate?: string): CertificateSigningRequest => ({
    metadata: { creationTimestamp: at(0) },
    spec: { request: '', signerName: '' },
    status: {
      ...(certificate && { certificate }),
      ...(types.length > 0 && {
        conditions: types.map((type, index) => ({ type, status: 'True', lastUpdateTime: at(2 + index) })),
      }),
    },
  });
  const end = (wanted: CertificateSigningRequest) => endOfRequest(wanted) / 3_600_000;
  t.is(end(request([])), 24);
  t.is(end(request(['Approved'])), Number.POSITIVE_INFINITY, 'its signer has not come to it yet');
  t.is(end(request(['Approved'], 'x')), 3, 'whatever the certificate is');
  t.is(end(request(['Denied'])), 3);
  t.is(end(request(['Approved', 'Failed'])), 4);
  const authority = await createAuthority('a', { nowMs: 0 });
  const pem = await signAsRequested(authority, await makeRequest({ CN: 'jane' }), {
    usages: ['client auth'],
    nowMs: 2 * 3_600_000,
    expirationSeconds: 1_800,
  });
  t.is(end(request(['Approved'], Buffer.from(pem).toString('base64'))), 2.5, 'the certificate is over before');
});

test('a node’s certificate is approved once its requester may have it', async t => {
  let isAllowed = false;
  const { client, clock, start } = newBench(t, {
    transport: api => ({
      close: () => api.close(),
      request: async (asked): Promise<ApiResponse> => {
        if (!asked.path.includes('subjectaccessreviews')) return api.request(asked);
        const body = JSON.stringify({ status: { allowed: isAllowed } });
        return {
          status: 201,
          headers: {},
          body: (async function* () {
            yield Buffer.from(body);
          })(),
        };
      },
    }),
  });
  const request = Buffer.from(await makeRequest(NODE)).toString('base64');
  await client.create(kinds.certificatesigningrequests, {
    metadata: { name: 'r' },
    spec: { request, signerName: NODE_CLIENT_SIGNER, usages: [...CLIENT], username: 'system:node:n1' },
  });
  await start(context => [certificateApprovingController(context)]);
  const conditions = async () =>
    (await client.get(kinds.certificatesigningrequests, { name: 'r' })).status?.conditions ?? [];
  await clock.advance(5_000);
  t.deepEqual(await conditions(), []);
  isAllowed = true;
  await until('it is approved', async () => {
    await clock.advance(10_000);
    return (await conditions()).length > 0;
  });
  t.like((await conditions())[0], { type: 'Approved', status: 'True', reason: 'AutoApproved' });
});
