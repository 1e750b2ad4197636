import test from 'ava';
import { configmaps, deployments, pods } from '../generated/kinds.ts';
import type { ApiError } from '../status.ts';
import { decode } from './decode.ts';

const refusal = (body: string, options = {}): ApiError => {
  try {
    decode(pods, body, options);
  } catch (error) {
    return error as ApiError;
  }
  throw new Error('was accepted');
};

test('drops nulls and empties, fills in what is always written', t => {
  const { object } = decode(
    pods,
    '{"metadata":{"name":"p","labels":{},"annotations":null},"spec":{"containers":[{"name":"c","stdin":false,"securityContext":{"privileged":false}}],"hostNetwork":false,"priority":0}}',
  );
  t.deepEqual(object as unknown, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', creationTimestamp: null },
    spec: { containers: [{ name: 'c', resources: {}, securityContext: { privileged: false } }], priority: 0 },
    status: {},
  });
});

test('leaves the value that it was given alone', t => {
  const value = Object.freeze({ metadata: Object.freeze({ name: 'x' }), data: Object.freeze({ a: 'b' }) });
  const { object } = decode(configmaps, { value });
  t.is(object.metadata?.name, 'x');
  t.not(object.metadata as unknown, value.metadata);
});

test('names the way to a wrong type as Go does', t => {
  t.is(
    refusal('{"spec":{"volumes":[{"name":"v","hostPath":{"path":{}}}]}}').message,
    'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal object into Go struct field HostPathVolumeSource.spec.volumes.hostPath.path of type string',
  );
  t.is(
    refusal('{"spec":{"dnsPolicy":5}}').message,
    'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field PodSpec.spec.dnsPolicy of type v1.DNSPolicy',
  );
});

test('Strict refuses what Warn tells and Ignore is silent about', t => {
  const body = '{"spec":{"containers":[{"name":"c","nme":"d","name":"e"}]}}';
  const sentences = ['unknown field "spec.containers[0].nme"', 'duplicate field "spec.containers[0].name"'];
  t.deepEqual(decode(pods, body).warnings, sentences);
  t.deepEqual(decode(pods, body, { fieldValidation: 'Ignore' }).warnings, []);
  const error = refusal(body, { fieldValidation: 'Strict' });
  t.is(error.code, 400);
  t.true(error.message.endsWith(`strict decoding error: ${sentences.join(', ')}`));
});

test('YAML 1.1: on and yes are booleans, times are text, sexagesimal numbers are not', t => {
  const body =
    'metadata:\n  name: x\n  annotations:\n    a: 2024-01-02\n    b: "on"\n    c: 12:30:45\nimmutable: yes\n';
  const { object } = decode(configmaps, body, { format: 'yaml' });
  t.is(object.immutable, true);
  t.deepEqual(object.metadata?.annotations, { a: '2024-01-02', b: 'on', c: '12:30:45' });
});

test('a bomb of aliases is refused', t => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
  for (let level = 1; level < 9; level++) {
    const previous = `*a${level - 1}`;
    lines.push(`a${level}: &a${level} [${new Array(10).fill(previous).join(', ')}]`);
  }
  t.throws(() => decode(configmaps, lines.join('\n'), { format: 'yaml' }), { message: /unrecognized/ });
});

test('YAML that is nested too deep is refused', t => {
  t.throws(() => decode(configmaps, '['.repeat(50_000), { format: 'yaml' }), { message: /unrecognized/ });
});

test('a body of another kind or version is told apart from an unknown one', t => {
  const of = (apiVersion: string, kind: string) => {
    try {
      decode(deployments, JSON.stringify({ apiVersion, kind }));
    } catch (error) {
      return (error as ApiError).message;
    }
    return 'accepted';
  };
  t.is(of('apps/v1', 'Deployment'), 'accepted');
  t.regex(of('apps/v1beta1', 'Deployment'), /does not match the expected API version/);
  t.regex(of('v1', 'Pod'), /converting \(v1\.Pod\) to \(apps\.Deployment\): unknown conversion/);
  t.regex(of('x.io/v1', 'Thing'), /no kind "Thing" is registered for version "x\.io\/v1"/);
});
