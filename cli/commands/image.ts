/**
 * `raftsman image`: images of the nodes on this machine, without a registry. It speaks to their agents over a socket in
 * each one's data directory, which asks for the same right as that directory does.
 */
import { createReadStream, existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { basename, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import type { Command } from 'commander';
import { z } from 'zod';
import { http } from '../../control/client/http-module.ts';
import type { CommandContext } from '../context.ts';
import { type OutputFlag, outputOption, printChoice, printTable, sizeText } from '../output/choice.ts';
import { dataDirOption } from './options.ts';

interface Flags extends OutputFlag {
  readonly dataDir: string;
  readonly node: readonly string[];
}
interface LocalNode {
  readonly name: string;
  readonly socket: string;
}

/** What the agent said no to, or what was asked wrongly. */
class ImageCommandError extends Error {
  override readonly name = 'ImageCommandError';
  readonly code = 'IMAGE_COMMAND';
}

/** As the agent has it (node/images/server.ts). */
const SOCKET = 'images.sock';
const imagesSchema = z.array(z.object({ id: z.string(), tags: z.array(z.string()), sizeBytes: z.number() }));
const ID_LENGTH = 19;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

export function register(program: Command, context: CommandContext): void {
  const image = program
    .command('image')
    .summary('import, list and remove images of the nodes on this machine')
    .description(
      'Images of the nodes that run on this machine. Archives that lie in the folder `images` of a node’s data directory when it starts are imported as well.',
    )
    .addHelpText(
      'after',
      `
Examples:
  docker save web:1 | raftsman image import -
  raftsman image import web.tar.gz --node node-1
  raftsman image list
  raftsman image remove web:1`,
    );
  const add = (name: string, words: string, description: string) =>
    image
      .command(`${name}${words}`)
      .summary(description)
      .description(`${description[0]?.toUpperCase()}${description.slice(1)}.`)
      .addOption(dataDirOption(context))
      .option('--node <name>', 'only on this node (repeatable; default: all on this machine)', together, []);
  add('import', ' <files...>', 'take in what `docker save` or an OCI tool wrote; - reads the input').action(
    (files: readonly string[], flags: Flags) => importFiles(context, files, flags),
  );
  add('list', '', 'show the images of the nodes')
    .alias('ls')
    .addOption(outputOption())
    .action((flags: Flags) => list(context, flags));
  add('remove', ' <names...>', 'remove images that no container uses')
    .alias('rm')
    .action((names: readonly string[], flags: Flags) => remove(context, names, flags));
}

const together = (name: string, before: readonly string[]) => [...before, name];

async function importFiles(context: CommandContext, files: readonly string[], flags: Flags): Promise<void> {
  const nodes = await localNodes(flags);
  if (files.includes('-') && nodes.length > 1) {
    throw new ImageCommandError(
      `the input can be read once, and there are ${nodes.length} nodes: name one with --node, or a file`,
    );
  }
  for (const file of files) {
    if (file !== '-' && !(await stat(file)).isFile()) throw new ImageCommandError(`${file} is no file`);
    for (const node of nodes) {
      const body = file === '-' ? context.stdin : createReadStream(file);
      const images = imagesSchema.parse(await ask(node, { method: 'POST', path: '/images', body }));
      for (const { tags, id } of images) context.stdout.write(`${node.name}: imported ${tags[0] ?? id}\n`);
    }
  }
}

async function list(context: CommandContext, flags: Flags): Promise<void> {
  const found = await Promise.all(
    (await localNodes(flags)).map(async node => ({
      node: node.name,
      images: imagesSchema.parse(await ask(node, { method: 'GET', path: '/images' })),
    })),
  );
  const print = (line: string) => context.stdout.write(`${line}\n`);
  const forPeople = () => {
    const rows = found.flatMap(({ node, images }) =>
      images.flatMap(({ tags, id, sizeBytes }) =>
        (tags.length > 0 ? tags : ['<none>'])
          .filter(tag => !tag.includes('@') || tags.every(one => one.includes('@')))
          .map(tag => [node, tag, id.slice(0, ID_LENGTH), sizeText(sizeBytes)]),
      ),
    );
    printTable({ print }, [['NODE', 'IMAGE', 'ID', 'SIZE'], ...rows]);
  };
  printChoice(print, flags, { value: found, forPeople });
}

async function remove(context: CommandContext, names: readonly string[], flags: Flags): Promise<void> {
  for (const name of names) {
    for (const node of await localNodes(flags)) {
      await ask(node, { method: 'DELETE', path: `/images?name=${encodeURIComponent(name)}` });
      context.stdout.write(`${node.name}: removed ${name}\n`);
    }
  }
}

/** The directory is one agent's, or that of `raftsman up` with one for each node. */
async function localNodes({ dataDir, node }: Flags): Promise<readonly LocalNode[]> {
  const directory = resolve(dataDir);
  const own = join(directory, SOCKET);
  if (existsSync(own)) return [{ name: basename(directory), socket: own }];
  const names = existsSync(directory) ? (await readdir(directory)).sort() : [];
  const all = names
    .map(name => ({ name, socket: join(directory, name, SOCKET) }))
    .filter(one => existsSync(one.socket));
  const missing = node.filter(name => !all.some(one => one.name === name));
  if (missing.length > 0) throw new ImageCommandError(`no node ${missing.join(', ')} runs in ${directory}`);
  const wanted = all.filter(({ name }) => node.length === 0 || node.includes(name));
  if (wanted.length === 0)
    throw new ImageCommandError(`no node runs in ${directory}: name an agent's directory with --data-dir`);
  return wanted;
}

async function ask(
  node: LocalNode,
  wanted: { readonly method: string; readonly path: string; readonly body?: Readable },
): Promise<unknown> {
  const response = await new Promise<IncomingMessage>((done, fail) => {
    const { method, path, body } = wanted;
    const outgoing = http.request({ socketPath: node.socket, method, path }, done);
    outgoing.once('error', error => fail(new ImageCommandError(`node ${node.name} does not answer: ${error.message}`)));
    if (body === undefined) outgoing.end();
    else body.once('error', error => outgoing.destroy(error)).pipe(outgoing);
  });
  let text = '';
  for await (const chunk of response) {
    text += String(chunk);
    if (text.length > ANSWER_BYTES_MAX) throw new ImageCommandError(`node ${node.name} answers with too much`);
  }
  const value: unknown = JSON.parse(text);
  if (response.statusCode === 200) return value;
  const message = z.object({ message: z.string() }).safeParse(value).data?.message ?? `status ${response.statusCode}`;
  throw new ImageCommandError(`${node.name}: ${message}`);
}
