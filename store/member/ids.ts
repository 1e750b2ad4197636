/** Ids of clusters and members: sixteen hex digits, drawn once, never used again. */
export function drawId(random: () => number): string {
  return Array.from({ length: 4 }, () =>
    Math.floor(random() * 0x1_0000)
      .toString(16)
      .padStart(4, '0'),
  ).join('');
}
