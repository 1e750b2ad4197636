/** The files of `proxy --www`, served as Go's file server does: folders are listed, what is not there is told. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { extname, join, normalize } from 'node:path';

const TEXT = 'text/plain; charset=utf-8';
const HTML = 'text/html; charset=utf-8';
const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.htm': HTML,
  '.html': HTML,
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': TEXT,
};

export function notFound(response: ServerResponse): void {
  response.writeHead(404, { 'content-type': TEXT }).end('404 page not found\n');
}

/** Answers with the file, or the listing of the folder, at a path that is relative to `folder`. Never throws. */
export function serveFile(folder: string, path: string, response: ServerResponse): void {
  try {
    // `..` leads to the folder itself, never out of it.
    const wanted = normalize(`/${decodeURIComponent(path.split('?')[0] ?? '')}`);
    const file = join(folder, wanted);
    if (!statSync(file).isDirectory()) {
      const content = readFileSync(file);
      response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(content);
    } else if (!wanted.endsWith('/')) {
      response.writeHead(301, { location: `${wanted.split('/').at(-1) ?? ''}/` }).end();
    } else {
      const listing = listingOf(file);
      response.writeHead(200, { 'content-type': HTML }).end(listing);
    }
  } catch {
    // Whatever it is, there is nothing to be had at that path.
    notFound(response);
  }
}

function listingOf(folder: string): string {
  const names = readdirSync(folder, { withFileTypes: true }).map(
    entry => `${entry.name}${entry.isDirectory() ? '/' : ''}`,
  );
  const lines = names.sort().map(name => `<a href="${encodeURI(name)}">${escaped(name)}</a>\n`);
  return `<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n${lines.join('')}</pre>\n`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
};
const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, sign => ENTITIES[sign] ?? sign);
