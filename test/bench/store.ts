export async function benchStore(_print: (line: string) => void): Promise<void> {}
