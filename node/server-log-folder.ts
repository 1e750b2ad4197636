/** `GET /logs/…`: the folder of logs (`log-folder.ts`) as a kubelet serves one: pages of links, and files. */
import type { ServerResponse } from 'node:http';
import { HttpError } from './http-error.ts';
import { LOG_FILES_MAX } from './limits.ts';
import { findLogEntry } from './log-folder.ts';
import type { Runtime } from './runtime/runtime.ts';
import { sendLogs } from './server-logs.ts';

const NOT_FOUND = '404 page not found';

export class LogFolderPages {
  readonly #runtime: Pick<Runtime, 'list' | 'logs'>;
  #open = 0;

  constructor(runtime: Pick<Runtime, 'list' | 'logs'>) {
    this.#runtime = runtime;
  }

  /**
   * Answers a request for what is below `/logs`. A path that has a slash too few or too many is led to the right one, as Go's
   * file server does. Throws {@link HttpError} 404 for what is not there, 503 while {@link LOG_FILES_MAX} files are read.
   *
   * @param path the parts behind `/logs`, decoded; the last one is '' behind a slash
   */
  async answer(response: ServerResponse, path: readonly string[]): Promise<void> {
    const hasSlash = path.at(-1) === '';
    const parts = hasSlash ? path.slice(0, -1) : path;
    const found = findLogEntry(await this.#runtime.list(), parts);
    if (!found) throw new HttpError(404, NOT_FOUND);
    const last = encodeURIComponent(parts.at(-1) ?? 'logs');
    if (found.type === 'folder' && !hasSlash) return redirect(response, `${last}/`);
    if (found.type === 'log' && hasSlash) return redirect(response, `../${last}`);
    if (found.type === 'log') return this.#send(response, found.containerId);
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page(found.names));
  }

  async #send(response: ServerResponse, containerId: string): Promise<void> {
    if (this.#open >= LOG_FILES_MAX) throw new HttpError(503, 'too many logs are being read from this node');
    this.#open++;
    try {
      const options = { follow: false, timestamps: true };
      await sendLogs(response, {
        ...{ runtime: this.#runtime, containerId },
        query: { previous: false, limitBytes: undefined, options },
      });
    } finally {
      this.#open--;
    }
  }
}

function redirect(response: ServerResponse, location: string): void {
  response.writeHead(301, { location }).end();
}

function page(names: readonly string[]): string {
  const links = names.map(name => `<a href="${escaped(encodeURI(name))}">${escaped(name)}</a>\n`);
  return `<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n${links.join('')}</pre>\n`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
};
const escaped = (text: string): string => text.replace(/[&<>"']/g, char => ESCAPES[char] ?? char);
