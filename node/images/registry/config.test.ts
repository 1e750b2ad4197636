import test from 'ava';
import { parseImageReference } from '../../runtime/image-reference.ts';
import { ImageError } from '../errors.ts';
import { parseChallenges } from './auth.ts';
import { endpointsOf, parseRegistries, settingsOf } from './config.ts';
import { credentialsOf, matchCredentials } from './credentials.ts';

const file = `
mirrors:
  docker.io:
    endpoint: ["https://mirror.example:5000", "http://plain.example"]
    rewrite: { "^library/(.*)": "hub/$1" }
  "*":
    endpoint: ["https://all.example/v2/cache"]
configs:
  "mirror.example:5000":
    auth: { username: me, password: secret }
    tls: { ca_file: /ca.crt, insecure_skip_verify: true }
  quay.io:
    auth: { auth: "${Buffer.from('you:there').toString('base64')}" }
`;

test('endpoints in their order, with names rewritten and keys of each', t => {
  const config = parseRegistries(file);
  const list = (name: string) =>
    endpointsOf(parseImageReference(name), config).map(one => `${one.url.href} ${one.repository}`);
  t.deepEqual(list('nginx'), [
    'https://mirror.example:5000/v2/ hub/nginx',
    'http://plain.example/v2/ hub/nginx',
    'https://registry-1.docker.io/v2/ library/nginx',
  ]);
  t.deepEqual(list('quay.io/a/b'), ['https://all.example/v2/cache/ a/b', 'https://quay.io/v2/ a/b']);
  t.is(list('localhost:5000/a').at(-1), 'http://localhost:5000/v2/ a');
  const [mirror] = endpointsOf(parseImageReference('nginx'), config);
  const quay = endpointsOf(parseImageReference('quay.io/a'), config).at(-1);
  t.deepEqual(mirror && settingsOf(mirror, config), {
    credentials: { username: 'me', password: 'secret' },
    tls: { caFile: '/ca.crt', insecureSkipVerify: true },
  });
  t.deepEqual(quay && settingsOf(quay, config).credentials, { username: 'you', password: 'there' });
  t.deepEqual(parseRegistries(''), {});
});

test('a file that is not right says where', t => {
  t.throws(() => parseRegistries('mirrors: [1]'), { instanceOf: ImageError, message: /mirrors/ });
  t.throws(() => parseRegistries('mirrors: {a: {endpoints: []}}'), { message: /mirrors\.a/ });
  t.throws(() => parseRegistries('{'), { message: /no YAML/ });
});

test('pull secrets of both kinds; which are for an image', t => {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64');
  const auth = Buffer.from('user:pass:word').toString('base64');
  const all = [
    ...credentialsOf({ '.dockerconfigjson': encode({ auths: { 'https://index.docker.io/v1/': { auth } } }) }),
    ...credentialsOf({ '.dockercfg': encode({ '*.example.com': { username: 'a', password: 'b' } }) }),
    ...credentialsOf({ '.dockerconfigjson': encode({ auths: { 'r.example.com/team': { identitytoken: 't' } } }) }),
    ...credentialsOf({ '.dockerconfigjson': 'bm90IGpzb24=' }),
    ...credentialsOf(undefined),
  ];
  t.is(all.length, 3);
  const names = (image: string) => matchCredentials(image, all).map(one => one.username ?? one.identityToken);
  t.deepEqual(matchCredentials('nginx', all), [
    { registry: 'https://index.docker.io/v1/', username: 'user', password: 'pass:word' },
  ]);
  t.deepEqual(names('r.example.com/team/app:1'), ['t', 'a']);
  t.deepEqual(names('r.example.com/other'), ['a']);
  t.deepEqual(names('x.r.example.com/team/app'), []);
  t.deepEqual(names('example.com/app'), []);
  t.deepEqual(names('r.example.com:5000/team/app'), []);
});

test('challenges', t => {
  t.deepEqual(parseChallenges('Bearer realm="https://a/token",service="s, t",scope="repository:a:pull"'), [
    { scheme: 'bearer', parameters: { realm: 'https://a/token', service: 's, t', scope: 'repository:a:pull' } },
  ]);
  t.deepEqual(parseChallenges('Basic realm=r'), [{ scheme: 'basic', parameters: { realm: 'r' } }]);
  t.deepEqual(parseChallenges(''), []);
});
