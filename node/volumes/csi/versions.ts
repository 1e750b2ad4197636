/** Which of the CSI versions that a driver names is spoken with it. Pure. */

/** The highest 1.x of the list, as [major, minor, patch]; undefined if there is none. */
export function highestSupported(versions: readonly string[]): readonly number[] | undefined {
  return versions
    .flatMap(text => {
      const match = /^v?(\d+)\.(\d+)(?:\.(\d+))?$/.exec(text.trim());
      if (!match || Number(match[1]) !== 1) return [];
      return [[1, Number(match[2]), Number(match[3] ?? 0)] as const];
    })
    .sort(compareVersions)
    .at(-1);
}

export function compareVersions(a: readonly number[], b: readonly number[]): number {
  return a.map((part, index) => part - (b[index] ?? 0)).find(difference => difference !== 0) ?? 0;
}
