/** AuthenticationConfiguration files: what is refused, in which words, and which users come of which claims. */
import test from 'ava';
import type { JWTPayload } from 'jose';
import { createAuthority } from '../../pki/authority.ts';
import { readAuthenticationConfiguration } from './authentication-configuration.ts';
import { ISSUERS_MAX } from './authentication-rules.ts';
import { type ClaimRules, identityOf } from './claims.ts';

const HEADER = { apiVersion: 'apiserver.config.k8s.io/v1beta1', kind: 'AuthenticationConfiguration' };
const read = (body: object) =>
  readAuthenticationConfiguration(JSON.stringify({ ...HEADER, ...body }), { disallowedIssuers: ['https://own'] });
const ISSUER = { url: 'https://issuer', audiences: ['a'] };
const USERNAME = { claim: 'sub', prefix: '' };
const entry = (more: object = {}, mappings: object = {}) => ({
  issuer: ISSUER,
  claimMappings: { username: USERNAME, ...mappings },
  ...more,
});
const oneJwt = (more: object = {}, mappings: object = {}) => read({ jwt: [entry(more, mappings)] });

test('both versions are read, as YAML and JSON; null is nothing said', t => {
  const yaml = `
apiVersion: apiserver.config.k8s.io/v1alpha1
kind: AuthenticationConfiguration
jwt:
- issuer: {url: https://issuer, audiences: [a, b], audienceMatchPolicy: MatchAny, discoveryURL: null}
  claimMappings:
    username: {expression: claims.sub}
    groups:
anonymous: {enabled: true, conditions: [{path: /livez}]}
`;
  const { jwt, anonymous } = readAuthenticationConfiguration(yaml);
  t.like(jwt[0]?.issuer, { url: 'https://issuer', audiences: ['a', 'b'], discoveryUrl: undefined });
  t.deepEqual(anonymous, { enabled: true, paths: ['/livez'] });
  t.deepEqual(read({}), { jwt: [], anonymous: undefined });
});

const wrong: readonly (readonly [string, object, string])[] = [
  ['another kind', { kind: 'Pod' }, 'kind: Invalid input: expected "AuthenticationConfiguration"'],
  ['an unknown field', { jwt: [entry({ claims: [] })] }, 'unknown field "jwt[0].claims"'],
  ['an unknown field at the top', { oidc: 1 }, 'unknown field "oidc"'],
  [
    'nothing in an entry',
    { jwt: [{}] },
    '[jwt[0].issuer.url: Required value, jwt[0].issuer.audiences: Required value: at least one jwt[0].issuer.audiences is required, jwt[0].claimMappings.username: Required value: claim or expression is required]',
  ],
  [
    'an issuer without TLS',
    { jwt: [entry({ issuer: { ...ISSUER, url: 'http://issuer' } })] },
    'jwt[0].issuer.url: Invalid value: "http://issuer": URL scheme must be https',
  ],
  [
    'a URL with all that it must not have',
    { jwt: [entry({ issuer: { ...ISSUER, url: 'https://u:p@issuer?a=b#c' } })] },
    '[jwt[0].issuer.url: Invalid value: "https://u:p@issuer?a=b#c": URL must not contain a username or password, jwt[0].issuer.url: Invalid value: "https://u:p@issuer?a=b#c": URL must not contain a query, jwt[0].issuer.url: Invalid value: "https://u:p@issuer?a=b#c": URL must not contain a fragment]',
  ],
  [
    'the issuer of service accounts',
    { jwt: [entry({ issuer: { ...ISSUER, url: 'https://own' } })] },
    'jwt[0].issuer.url: Invalid value: "https://own": URL must not overlap with disallowed issuers: [https://own]',
  ],
  ['an issuer twice', { jwt: [entry(), entry()] }, 'jwt[1].issuer.url: Duplicate value: "https://issuer"'],
  [
    'a discovery URL that is the issuer’s own',
    { jwt: [entry({ issuer: { ...ISSUER, discoveryURL: 'https://issuer/' } })] },
    'jwt[0].issuer.discoveryURL: Invalid value: "https://issuer/": discoveryURL must be different from URL',
  ],
  [
    'several audiences without a policy',
    { jwt: [entry({ issuer: { ...ISSUER, audiences: ['a', 'a', ''] } })] },
    '[jwt[0].issuer.audiences[1]: Duplicate value: "a", jwt[0].issuer.audiences[2]: Required value, jwt[0].issuer.audienceMatchPolicy: Invalid value: "": audienceMatchPolicy must be MatchAny for multiple audiences]',
  ],
  [
    'another policy',
    { jwt: [entry({ issuer: { ...ISSUER, audienceMatchPolicy: 'All' } })] },
    'jwt[0].issuer.audienceMatchPolicy: Invalid value: "All": audienceMatchPolicy must be empty or MatchAny for single audience',
  ],
  [
    'an authority that is none',
    { jwt: [entry({ issuer: { ...ISSUER, certificateAuthority: 'secret' } })] },
    'jwt[0].issuer.certificateAuthority: Invalid value: "<omitted>": data does not contain any valid RSA or ECDSA certificates',
  ],
  [
    'claim and expression',
    { jwt: [entry({}, { username: { claim: 'sub', expression: 'claims.sub' } })] },
    'jwt[0].claimMappings.username: Invalid value: "": claim and expression can\'t both be set',
  ],
  [
    'a claim without a prefix',
    { jwt: [entry({}, { username: { claim: 'sub' } })] },
    'jwt[0].claimMappings.username.prefix: Required value: prefix is required when claim is set. It can be set to an empty string to disable prefixing',
  ],
  [
    'an expression with a prefix',
    { jwt: [entry({}, { groups: { expression: 'claims.groups', prefix: '' } })] },
    'jwt[0].claimMappings.groups.prefix: Invalid value: "": may not be specified when expression is set',
  ],
  [
    'an expression that is none',
    { jwt: [entry({}, { uid: { expression: 'user.uid' } })] },
    "jwt[0].claimMappings.uid.expression: Invalid value: \"user.uid\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'user' (in container '')\n | user.uid\n | ^",
  ],
  [
    'an address that nobody has verified',
    { jwt: [entry({}, { username: { expression: 'claims.email' } })] },
    'jwt[0].claimMappings.username.expression: Invalid value: "claims.email": claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression',
  ],
  [
    'keys of Kubernetes’ own',
    { jwt: [entry({}, { extra: [{ key: 'a.k8s.io/x', valueExpression: '"y"' }] })] },
    'jwt[0].claimMappings.extra[0].key: Invalid value: "a.k8s.io/x": k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use',
  ],
  [
    'keys without a domain, and twice',
    { jwt: [entry({}, { extra: [{ key: 'x' }, { key: 'x' }] })] },
    '[jwt[0].claimMappings.extra[0].key: Invalid value: "x": must be a domain-prefixed path (such as "acme.io/foo"), jwt[0].claimMappings.extra[0].valueExpression: Required value, jwt[0].claimMappings.extra[1].key: Invalid value: "x": must be a domain-prefixed path (such as "acme.io/foo"), jwt[0].claimMappings.extra[1].key: Duplicate value: "x"]',
  ],
  [
    'rules that say nothing, too much, or no truth',
    {
      jwt: [
        entry({
          claimValidationRules: [
            {},
            { claim: 'a', expression: 'b' },
            { claim: 'a', message: 'm' },
            { claim: 'a' },
            { expression: 'claims.a', requiredValue: 'x' },
            { expression: 'claims.a' },
          ],
        }),
      ],
    },
    '[jwt[0].claimValidationRules[0]: Required value: claim or expression is required, jwt[0].claimValidationRules[1]: Invalid value: "a": claim and expression can\'t both be set, jwt[0].claimValidationRules[2].message: Invalid value: "m": may not be specified when claim is set, jwt[0].claimValidationRules[3].claim: Duplicate value: "a", jwt[0].claimValidationRules[4].requiredValue: Invalid value: "x": may not be specified when expression is set, jwt[0].claimValidationRules[4].expression: Invalid value: "claims.a": must evaluate to bool, jwt[0].claimValidationRules[5].expression: Duplicate value: "claims.a"]',
  ],
  [
    'rules about users',
    { jwt: [entry({ userValidationRules: [{}, { expression: 'user.name == "x"' }] })] },
    '[jwt[0].userValidationRules[0].expression: Required value, jwt[0].userValidationRules[1].expression: Invalid value: "user.name == \\"x\\"": compilation failed: ERROR: <input>:1:5: undefined field \'name\'\n | user.name == "x"\n | ....^]',
  ],
  [
    'conditions for nobody',
    { anonymous: { enabled: false, conditions: [{ path: '/livez' }] } },
    'anonymous.conditions: Invalid value: [{"path":"/livez"}]: enabled should be set to true when conditions are defined',
  ],
];
for (const [what, body, message] of wrong) {
  test(`refused: ${what}`, t => {
    t.throws(() => read(body), { code: 'AUTHENTICATION_CONFIGURATION', message });
  });
}

test('no YAML, and more issuers than are good', t => {
  t.throws(() => readAuthenticationConfiguration('{'), { message: /^it is not YAML: / });
  const jwt = Array.from({ length: ISSUERS_MAX + 1 }, (_, index) =>
    entry({ issuer: { ...ISSUER, url: `https://issuer-${index}` } }),
  );
  t.throws(() => read({ jwt }), { message: 'jwt: Too many: 65: must have at most 64 items' });
  t.is(read({ jwt: jwt.slice(1) }).jwt.length, ISSUERS_MAX);
});

test('an authority is taken as PEM', async t => {
  const { certificate } = await createAuthority('x', { nowMs: Date.now() });
  const { jwt } = oneJwt({ issuer: { ...ISSUER, certificateAuthority: certificate } });
  t.is(jwt[0]?.issuer.authority, certificate);
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  t.throws(() => oneJwt({ issuer: { ...ISSUER, certificateAuthority: certificate + broken } }));
});

const CLAIMS = {
  sub: 'jane',
  email: 'jane@x',
  email_verified: true,
  groups: ['dev', '', 'ops'],
  role: 'admin',
  oid: 'u-1',
  team: { name: 'core' },
  level: 7,
};
const rulesOf = (more: object = {}, mappings: object = {}) => oneJwt(more, mappings).jwt[0]?.rules as ClaimRules;
const user = (mappings: object, more: object = {}, claims: JWTPayload = CLAIMS) =>
  identityOf(claims, rulesOf(more, mappings));

test('claims and expressions become user, groups, uid and extra', t => {
  t.deepEqual(user({}), { user: 'jane', groups: [] });
  t.deepEqual(
    user({
      username: { claim: 'sub', prefix: 'x:' },
      groups: { claim: 'groups', prefix: 'g:' },
      uid: { claim: 'oid' },
    }),
    { user: 'x:jane', groups: ['g:dev', 'g:', 'g:ops'], uid: 'u-1' },
  );
  t.deepEqual(
    user({
      username: { expression: "claims.email_verified ? claims.email + ':verified' : 'nobody'" },
      groups: { expression: 'claims.groups' },
      uid: { expression: 'string(claims.level)' },
      extra: [
        { key: 'acme.io/team', valueExpression: 'claims.team.name' },
        { key: 'acme.io/none', valueExpression: 'has(claims.none) ? claims.none : null' },
        { key: 'acme.io/list', valueExpression: '[claims.role, ""]' },
      ],
    }),
    {
      user: 'jane@x:verified',
      groups: ['dev', 'ops'],
      uid: '7',
      extra: { 'acme.io/team': ['core'], 'acme.io/list': ['admin'] },
    },
  );
  t.deepEqual(user({ groups: { expression: 'claims.role' } }).groups, ['admin']);
  t.deepEqual(user({ groups: { claim: 'role', prefix: '' } }).groups, ['admin']);
  t.deepEqual(user({ groups: { claim: 'absent', prefix: '' } }).groups, []);
});

test('claims that do not fit make no user, and the reason is told', t => {
  const why = (mappings: object, more: object = {}, claims: JWTPayload = CLAIMS) =>
    t.throws(() => user(mappings, more, claims), { code: 'CLAIMS' }).message;
  t.is(why({ username: { claim: 'level', prefix: '' } }), 'parse username claims "level": it is no text');
  t.is(why({ username: { claim: 'x', prefix: 'p' } }), 'parse username claims "x": claim not present');
  t.is(why({ username: { claim: 'x', prefix: 'p' } }, {}, { x: '' }), 'the username is empty');
  t.is(
    why({ username: { expression: 'claims.level' } }),
    'error evaluating username claim expression: username claim expression must return a string',
  );
  t.is(
    why({ username: { expression: 'claims.x' } }),
    "error evaluating username expression 'claims.x': no such key: x",
  );
  t.is(
    why({ username: { claim: 'email', prefix: '' } }, {}, { email: 'a', email_verified: 'true' }),
    'email not verified',
  );
  t.is(why({ uid: { claim: 'none' } }), 'parse uid claims "none": claim not present');
  t.regex(why({ groups: { claim: 'level', prefix: '' } }), /^parse groups claim "level"/);
  t.regex(why({ groups: { expression: '[claims.level]' } }), /must return a string or a list of strings$/);
  const claimRules = (...claimValidationRules: object[]) => ({ claimValidationRules });
  t.is(why({}, claimRules({ claim: 'hd', requiredValue: 'x' })), 'required claim hd not present in ID token');
  t.is(why({}, claimRules({ claim: 'role', requiredValue: 'x' })), 'required claim role value does not match');
  t.is(why({}, claimRules({ claim: 'level', requiredValue: '7' })), 'required claim level value does not match');
  t.is(
    why({}, claimRules({ expression: 'claims.level > 7', message: 'too low' })),
    "error evaluating claim validation expression: validation expression 'claims.level > 7' failed: too low",
  );
  const userValidationRules = [
    { expression: "!user.username.startsWith('system:')", message: 'reserved' },
    { expression: "user.groups.all(group, !group.startsWith('system:'))", message: 'reserved group' },
    { expression: "!('acme.io/x' in user.extra) && user.uid == ''" },
  ];
  t.is(user({}, { userValidationRules }).user, 'jane');
  t.is(
    why({ username: { claim: 'sub', prefix: 'system:' } }, { userValidationRules }),
    "error evaluating user info validation expression: validation expression '!user.username.startsWith('system:')' failed: reserved",
  );
  t.regex(why({ groups: { expression: '["system:masters"]' } }, { userValidationRules }), /failed: reserved group$/);
});

test('an expression that works too long ends, and makes no user', t => {
  const claims = { sub: 'x', list: Array.from({ length: 2_000 }, (_, index) => index) };
  const expression = 'claims.list.all(a, claims.list.all(b, a + b >= 0)) ? claims.sub : claims.sub';
  t.throws(() => user({ username: { expression } }, {}, claims), { message: /actual cost limit exceeded$/ });
});
