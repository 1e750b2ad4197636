/** What settings have in common: a name, a default, and a positive number. */

/** Fills in the defaults. @throws {RangeError} a setting is no positive number, or of a name that there is not */
export function withDefaults<Limits extends { readonly [Name in keyof Limits]: number }>(
  defaults: Limits,
  settings: Partial<Limits>,
): Limits {
  const limits = { ...defaults };
  // The names are checked against those of the defaults before they are used.
  for (const name of Object.keys(settings) as (keyof Limits & string)[]) {
    const value = settings[name];
    if (value === undefined) continue;
    if (!(name in defaults))
      throw new RangeError(`there is no limit ${name}; there are ${Object.keys(defaults).join(', ')}`);
    if (!Number.isFinite(value) || value <= 0) throw new RangeError(`the limit ${name} must be a positive number`);
    limits[name] = value;
  }
  return limits;
}
