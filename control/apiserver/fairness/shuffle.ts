/**
 * Shuffle sharding: each flow is dealt a hand of queues, so that two flows seldom share all of theirs and a flow that floods
 * its own leaves the others a way around. Pure.
 */

/** A hand of `handSize` different queues of `queues`, always the same for the same flow. */
export function dealHand(
  flow: string,
  { queues, handSize }: { readonly queues: number; readonly handSize: number },
): readonly number[] {
  let hash = hash64(flow);
  const hand: number[] = [];
  for (let left = queues; hand.length < Math.min(handSize, queues); left--) {
    let card = Number(hash % BigInt(left));
    hash /= BigInt(left);
    // The card counts among those not dealt yet.
    for (const dealt of [...hand].sort((a, b) => a - b)) if (card >= dealt) card++;
    hand.push(card);
  }
  return hand;
}

const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;
const MASK = 0xffffffffffffffffn;

/** FNV-1a, with a last mixing so that the high bits depend on all of the text as well. */
function hash64(text: string): bigint {
  let hash = FNV_OFFSET;
  for (let index = 0; index < text.length; index++) hash = ((hash ^ BigInt(text.charCodeAt(index))) * FNV_PRIME) & MASK;
  hash = ((hash ^ (hash >> 33n)) * 0xff51afd7ed558ccdn) & MASK;
  return hash ^ (hash >> 33n);
}
