/** Regions are spelled "West Europe" by people and "westeurope" by the service. */
export const isSameLocation = (left: string, right: string): boolean => plain(left) === plain(right);

const plain = (location: string): string => location.toLowerCase().replaceAll(' ', '');

/** True when every tag is there with the same value: how a restore knows its own resources again. */
export const hasTags = (found: Readonly<Record<string, string>> | undefined, wanted: Readonly<Record<string, string>>): boolean =>
  Object.entries(wanted).every(([name, value]) => found?.[name] === value);
