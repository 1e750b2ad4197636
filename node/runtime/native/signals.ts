/** Signals as images name them: `SIGQUIT`, `QUIT`, `3`. Pure. */
import { constants } from 'node:os';

/** SIGTERM for what is no signal of this machine. */
export function signalNamed(text: string): NodeJS.Signals {
  const byNumber = Object.entries(constants.signals).find(([, number]) => String(number) === text)?.[0];
  const name = byNumber ?? (text.toUpperCase().startsWith('SIG') ? text.toUpperCase() : `SIG${text.toUpperCase()}`);
  return isSignal(name) ? name : 'SIGTERM';
}

function isSignal(name: string): name is NodeJS.Signals {
  return Object.hasOwn(constants.signals, name);
}
