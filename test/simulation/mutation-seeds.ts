export const NOTICED_AT: Readonly<Record<string, number>> = {};
