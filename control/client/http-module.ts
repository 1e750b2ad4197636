/**
 * Node's `http`, for who has to be small. An `import` of its values reads all that it exports, `WebSocket` too, and with that all of
 * `fetch`: 14 MB of a process (Node 24). What is required is read when it is used. Types may be imported as ever.
 */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

// A module that is required has no type of its own.
export const http = require('node:http') as typeof import('node:http');
