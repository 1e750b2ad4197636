/** Names that the server makes up: `generateName` and a random suffix. */

/** No vowels and no look-alikes, so that no words appear and names can be read aloud. */
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const SUFFIX_LENGTH = 5;
const NAME_LENGTH_MAX = 63;

/** `base` with a random suffix. `random` gives numbers from 0 up to but not including 1. */
export function generateName(base: string, random: () => number): string {
  let suffix = '';
  for (let index = 0; index < SUFFIX_LENGTH; index++) {
    suffix += ALPHABET.charAt(Math.floor(random() * ALPHABET.length));
  }
  return base.slice(0, NAME_LENGTH_MAX - SUFFIX_LENGTH) + suffix;
}
