/** The rules of ARCHITECTURE.md that a machine can check: who may import whom, and who may touch the outside world. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const TOP_FOLDERS = ['raft', 'store', 'control', 'node', 'cli', 'test'];

interface Source {
  /** Relative to the root, with slashes. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly { readonly target: string; readonly typeOnly: boolean }[];
}

const sources = TOP_FOLDERS.flatMap(folder =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => read(`${folder}/${name.split(sep).join('/')}`)),
);

function read(path: string): Source {
  const text = readFileSync(join(root, path), 'utf8');
  const imports = [
    ...text.matchAll(
      /(?:^|\n)(?:import|export)\s+(type\s)?[^'";]*?from\s+'([^']+)'|import\('([^']+)'\)|(?:^|\n)import\s+'([^']+)'/g,
    ),
  ].map(match => {
    const specifier = match[2] ?? match[3] ?? match[4] ?? '';
    const target = specifier.startsWith('.')
      ? relative(root, join(root, dirname(path), specifier))
          .split(sep)
          .join('/')
      : specifier;
    return { target, typeOnly: match[1] !== undefined };
  });
  return { path, text, imports };
}
const isTest = (path: string) =>
  path.startsWith('test/') ||
  path.endsWith('.test.ts') ||
  path.includes('/testing/') ||
  path.includes('/test-') ||
  /(^|[/-])contract\.ts$/.test(path);
const product = sources.filter(source => !isTest(source.path));
const isOurs = (target: string) => TOP_FOLDERS.some(folder => target.startsWith(`${folder}/`));

/** A layer is a folder with import rules of its own; the longest matching prefix is a file's layer. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  'raft/': [],
  'store/': ['raft/'],
  'control/api/': [],
  'control/client/': ['control/api/'],
  'control/pki/': [],
  'control/join/': ['control/api/', 'control/client/', 'control/pki/'],
  'control/operations/': ['control/api/', 'control/client/', 'control/pki/', 'control/join/', 'store/'],
  'control/apiserver/': ['control/api/', 'store/'],
  'control/controllers/': ['control/api/', 'control/client/'],
  'control/scheduler/': ['control/api/', 'control/client/'],
  'control/leader/': ['control/api/', 'control/client/', 'control/controllers/', 'control/scheduler/'],
  'control/master/': [
    'control/api/',
    'control/client/',
    'control/leader/',
    'control/pki/',
    'control/join/',
    'control/operations/',
    'control/apiserver/',
    'store/',
  ],
  'node/': ['control/api/', 'control/client/'],
  'node/membership/': ['control/client/', 'control/join/', 'control/pki/', 'node/'],
  'cli/': [
    'control/api/',
    'control/client/',
    'control/pki/',
    'control/join/',
    'control/master/',
    'control/operations/',
  ],
};
const layerOf = (path: string) =>
  Object.keys(LAYERS)
    .filter(prefix => path.startsWith(prefix))
    .sort((a, b) => b.length - a.length)[0];
/** A `main.ts` composes: it may import from anywhere. */
const composes = (path: string) => path.endsWith('/main.ts');

test('a layer imports only what stands below it', t => {
  const wrong = product
    .filter(({ path }) => !composes(path) && path !== 'control/index.ts')
    .flatMap(({ path, imports }) =>
      imports
        .filter(({ target }) => isOurs(target))
        .filter(({ target }) => {
          const [from, to] = [layerOf(path), layerOf(target)];
          return (
            from !== to && !(from !== undefined && to !== undefined && LAYERS[from]?.includes(to)) && !composes(target)
          );
        })
        .map(({ target }) => `${path} → ${target}`),
    );
  t.deepEqual(wrong, []);
});

test('raft, store and node are entered by their one door', t => {
  const wrong = product.flatMap(({ path, imports }) =>
    imports
      .filter(({ target }) => /^(raft|store|node)\//.test(target) && target.split('/')[0] !== path.split('/')[0])
      .filter(({ target }) => !/^[a-z]+\/(index|main)\.ts$/.test(target))
      .map(({ target }) => `${path} → ${target}`),
  );
  t.deepEqual(wrong, []);
});

test('nothing imports the tests', t => {
  const wrong = product.flatMap(({ path, imports }) =>
    imports
      .filter(({ target }) => target.startsWith('test/') || target.endsWith('.test.ts'))
      .map(({ target }) => `${path} → ${target}`),
  );
  t.deepEqual(wrong, []);
});

const PURE = ['raft/core/', 'store/mvcc/', 'control/api/'];
/** Data and pure libraries that pure code may use. */
const PURE_IMPORTS = /^(node:assert|node:buffer|node:zlib|yaml|zod|protobufjs|msgpackr|re2js|@marcbachmann\/cel-js)/;
test('pure folders import nothing that touches the world', t => {
  const wrong = product
    .filter(({ path }) => PURE.some(prefix => path.startsWith(prefix)) && !path.endsWith('/generate.ts'))
    .flatMap(({ path, imports }) =>
      imports
        .filter(
          ({ target, typeOnly }) =>
            !typeOnly && !PURE.some(prefix => target.startsWith(prefix)) && !PURE_IMPORTS.test(target),
        )
        .map(({ target }) => `${path} → ${target}`),
    );
  t.deepEqual(wrong, []);
});

/** The few files that own the clock, randomness, the process and the console. */
const OWNERS = [
  /\/main\.ts$/,
  /^cli\/program\.ts$/,
  /\/(system-)?clock\.ts$/,
  /^control\/client\/idle-process\.ts$/,
  // Gives those who embed the store the clock and the randomness that all else is handed.
  /^store\/member\/embed\.ts$/,
  /^cli\/cluster\//,
  /\/generate\.ts$/,
  /^node\/runtime\/processes\.ts$/,
  /^node\/metrics\/machine-usage\.ts$/,
];
const BANNED: Readonly<Record<string, RegExp>> = {
  'Date.now': /\bDate\.now\b|\bnew Date\(\)/,
  'Math.random': /\bMath\.random\b/,
  timers: /(?<![.\w#])(setTimeout|setInterval|setImmediate)\(/,
  process: /(?<![.\w'"`/-])process\.(?!ts)/,
  console: /(?<![.\w])console\./,
};
test('time, randomness, the process and the console belong to the few files that own them', t => {
  const wrong = product
    .filter(({ path }) => !OWNERS.some(owner => owner.test(path)))
    .flatMap(({ path, text }) => {
      const code = text.replaceAll(/\/\*[\s\S]*?\*\/|(?<![:'"`])\/\/.*$/gm, '');
      return Object.entries(BANNED)
        .filter(([, pattern]) => pattern.test(code))
        .map(([what]) => `${path} uses ${what}`);
    });
  t.deepEqual(wrong, []);
});

test('who runs beside others on a small node does not import the values of http, which bring all of fetch', t => {
  const wrong = product
    .filter(({ path }) => /^(node|control\/(client|join))\//.test(path) && !path.endsWith('/http-module.ts'))
    .filter(({ imports }) => imports.some(({ target, typeOnly }) => target === 'node:http' && !typeOnly))
    .map(({ path }) => path);
  t.deepEqual(wrong, [], 'take it from control/client/http-module.ts');
});

test('each folder has its page', t => {
  const missing = TOP_FOLDERS.filter(folder => !readdirSync(join(root, folder)).includes('README.md'));
  t.deepEqual(missing, []);
});
