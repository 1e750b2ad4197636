/**
 * Questions to webhooks and their answers, as client-go's REST client asks and reads them: AdmissionReview and
 * ConversionReview alike. The query tells the server how long it has.
 */
import { JsonSyntaxError, parseJson, plainValue } from '../../api/schema/json.ts';
import type { Callout } from './client.ts';
import { type CalloutTarget, destinationOf } from './target.ts';

export interface ReviewCall {
  /** The review to send: an object with apiVersion and kind. */
  readonly review: { readonly apiVersion: string; readonly kind: string };
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

const SECOND_MS = 1_000;
const HEADERS = {
  accept: 'application/json, */*',
  'content-type': 'application/json',
  'user-agent': 'kube-apiserver-admission',
};

/**
 * Posts a review and gives the review that came back, an object of the same kind; nothing else of it is checked.
 * Rejects with an Error whose message is what follows `failed to call webhook: `.
 */
export async function callReview(
  callout: Callout,
  target: CalloutTarget,
  { review, timeoutMs, signal }: ReviewCall,
): Promise<Readonly<Record<string, unknown>>> {
  const { path } = destinationOf(target);
  const seconds = Math.ceil(timeoutMs / SECOND_MS);
  const answer = await callout.call(target, {
    method: 'POST',
    path: `${path}${path.includes('?') ? '&' : '?'}timeout=${durationText(seconds)}`,
    headers: HEADERS,
    body: JSON.stringify(review),
    timeoutMs,
    ...(signal && { signal }),
  });
  const text = answer.body.toString();
  if (answer.status < 200 || answer.status > 206)
    throw new Error(refusal(answer.status, text, answer.headers['content-type']));
  return readReview(text, review);
}

/** Go's text of a duration in whole seconds. */
function durationText(seconds: number): string {
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}

/** Only the type is read here, in the words of apimachinery's decoder. */
function readReview(text: string, { apiVersion, kind }: ReviewCall['review']): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = plainValue(parseJson(text).value);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw new Error(`couldn't get version/kind; json parse error: ${error.message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(
      `couldn't get version/kind; json parse error: json: cannot unmarshal ${goType(value)} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`,
    );
  }
  const review = value as Readonly<Record<string, unknown>>;
  const [group = '', wanted = ''] = apiVersion.split('/');
  const given = typeof review.apiVersion === 'string' ? review.apiVersion : '';
  const givenKind = typeof review.kind === 'string' ? review.kind : '';
  if (given === apiVersion && givenKind === kind) return review;
  if (given === '' && givenKind === '') return review;
  const version = given.startsWith(`${group}/`) ? given.slice(group.length + 1) : '';
  if (KNOWN_VERSIONS.has(version) && givenKind === kind) {
    throw new Error(`converting (${version}.${kind}) to (${wanted}.${kind}): unknown conversion`);
  }
  throw new Error(
    `no kind ${JSON.stringify(givenKind)} is registered for version ${JSON.stringify(given)} in scheme "pkg/runtime/scheme.go:110"`,
  );
}
const KNOWN_VERSIONS = new Set(['v1', 'v1beta1']);

function goType(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return value === null ? 'null' : typeof value === 'boolean' ? 'bool' : typeof value;
}

/** What client-go makes of an answer that is no success (apimachinery: NewGenericServerResponse). */
function refusal(status: number, text: string, contentType: string | undefined): string {
  const told = statusMessage(text);
  if (told !== undefined) return told;
  const isText = /^text\//.test(contentType ?? '') || contentType === undefined;
  const shown = isText ? text.slice(0, REFUSAL_SHOWN_MAX).trim() : 'unknown';
  const known = REFUSALS[status];
  if (known !== undefined) return known === SHOWN ? shown : known;
  if (status >= 500)
    return `an error on the server (${JSON.stringify(shown)}) has prevented the request from succeeding`;
  return `the server responded with the status code ${status} but did not return more information`;
}
/** Of a page that was sent instead of a Status. */
const REFUSAL_SHOWN_MAX = 2_048;
const SHOWN = '';
const REFUSALS: Readonly<Record<number, string>> = {
  400: 'the server rejected our request for an unknown reason',
  401: 'the server has asked for the client to provide credentials',
  403: SHOWN,
  404: 'the server could not find the requested resource',
  405: 'the server does not allow this method on the requested resource',
  409: 'the server reported a conflict',
  422: 'the server rejected our request due to an error in our request',
  429: 'the server has received too many requests and has asked us to try again later',
  503: 'the server is currently unable to handle the request',
  504: 'the server was unable to return a response in the time allotted, but may still be processing the request',
};

/** The message of a Status, if that is what came. */
function statusMessage(text: string): string | undefined {
  try {
    const { kind, status, message } = JSON.parse(text) as { kind?: unknown; status?: unknown; message?: unknown };
    return kind === 'Status' && status === 'Failure' && typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}
