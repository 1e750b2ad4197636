/** An admission webhook behind real TLS, whose answers a test decides: for tests. */
import { createServer as createHttps } from 'node:https';
import type { ExecutionContext } from 'ava';
import { createAuthority, issueCertificate } from '../../pki/authority.ts';
import { systemClock } from '../clock.ts';
import { listening } from './fake-agent.ts';

/** What a webhook was asked. */
export interface Asked {
  readonly path: string;
  readonly apiVersion: string;
  // biome-ignore lint/suspicious/noExplicitAny: what a review holds is what the test is about
  readonly request: any;
}
/** The members of `response` besides the uid; or a whole answer: a status and a text. */
export type Answer = Readonly<Record<string, unknown>> | { readonly status: number; readonly text: string };
export type Answerer = (asked: Asked) => Answer | undefined | Promise<Answer | undefined>;

export interface HookServer {
  readonly port: number;
  /** As it stands in configurations. */
  readonly caBundle: string;
  /** Every question, in order. */
  readonly asked: Asked[];
}

/** A patch as a webhook answers it. */
export const patchAnswer = (...operations: readonly object[]): Answer => ({
  allowed: true,
  patchType: 'JSONPatch',
  patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
});

/** Serves; an answerer that gives undefined never answers. */
export async function hookServer(
  t: ExecutionContext,
  answerer: Answerer,
  hosts: readonly string[] = ['127.0.0.1'],
): Promise<HookServer> {
  const terms = { nowMs: systemClock.now(), validDays: 1 };
  const authority = await createAuthority('hooks', terms);
  const own = await issueCertificate(authority, { commonName: 'hook', hosts, usages: ['server'] }, terms);
  const asked: Asked[] = [];
  const server = createHttps({ key: own.key, cert: own.certificate }, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const review = JSON.parse(Buffer.concat(chunks).toString());
    const question = { path: request.url ?? '', apiVersion: review.apiVersion, request: review.request };
    asked.push(question);
    const answer = await answerer(question);
    if (answer === undefined) return;
    const isWhole = 'text' in answer;
    response.writeHead(isWhole ? Number(answer.status) : 200, { 'content-type': 'application/json' });
    const body = {
      kind: 'AdmissionReview',
      apiVersion: review.apiVersion,
      response: { uid: review.request.uid, ...answer },
    };
    response.end(isWhole ? String(answer.text) : JSON.stringify(body));
  });
  const port = await listening(t, server);
  return { port, caBundle: Buffer.from(authority.certificate).toString('base64'), asked };
}
