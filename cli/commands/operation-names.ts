/** Names of the commands that run a cluster: their processes need not load the commands that speak to one. */
export const operationNames: ReadonlySet<string> = new Set([
  'up',
  'down',
  'status',
  'server',
  'agent',
  'reset',
  'image',
]);
